"""Messages that say where the mistake is in the caller's data, and what to do about it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.inputs.arrays import rows_at
from nc1fast.inputs.files import as_source

X = np.random.default_rng(0).normal(size=(6, 2))
y = np.repeat([0, 1], 3)
pd = pytest.importorskip("pandas", reason="pandas (extra: test)")

DATES = pd.date_range("2020", periods=6)
FRAMES = {
    "missing": (
        {"a": pd.array([1, 2, None, 4, 5, 6], dtype="Int64"), "b": 1.0},
        "X[2, 0] is missing: fill it",
    ),
    "whole": ({"a": pd.array(range(6), dtype="Int64"), "b": 1.5}, "give X.astype('float64')"),
    "dates": ({"a": DATES}, "make numbers of dates first"),
    "dates beside numbers": (
        {"b": range(6), "a": DATES},
        "X[0, 1] is of type Timestamp: make numbers of dates first",
    ),
    "text": (
        {"b": range(6), "a": list("abcdef")},
        "X[0, 1] is of type str: leave such columns out",
    ),
}


@pytest.mark.parametrize("name", FRAMES)
def test_columns_of_pandas_that_are_no_numbers_are_named(name):
    columns, told = FRAMES[name]
    with pytest.raises(TypeError, match=r"^X must be real numbers") as error:
        nc.collapse(pd.DataFrame(columns), y)
    assert told in str(error.value)


def test_the_advice_for_a_nullable_column_helps():
    frame = pd.DataFrame(FRAMES["whole"][0])
    expected = nc.collapse(np.column_stack([np.arange(6), np.full(6, 1.5)]), y).nc1
    assert nc.collapse(frame.astype("float64"), y).nc1 == expected


@pytest.mark.parametrize(("row", "column", "value"), [(0, 1, np.nan), (4, 0, -np.inf)])
def test_the_first_entry_that_is_not_finite_is_named(row, column, value):
    spoilt = X.copy()
    spoilt[row, column] = spoilt[5, 1] = value
    for kernel in (None, nc.NNGP("relu")):
        with pytest.raises(ValueError, match=r"^X must be finite") as error:
            nc.collapse(spoilt, y, kernel)
        assert str(error.value).endswith(f": X[{row}, {column}] is {value}")


def test_rows_of_a_file_are_named_by_their_number_in_it(tmp_path):
    rows = np.zeros((1000, 300))
    rows[901, 7] = np.nan
    np.save(tmp_path / "X.npy", rows)
    data = as_source(tmp_path / "X.npy")
    for part in (slice(800, 950), np.array([3, 901, 4])):
        with pytest.raises(ValueError, match=r"X\[901, 7\] is nan$"):
            rows_at(data, part)


LABELS = {
    "numbers and text": ([0, 0, 0, "a", "a", 1], "mixes int and str"),
    "dates and numbers": ([dt.date(2020, 1, 1)] * 3 + [1] * 3, "mixes date and int"),
    "None": (["a", "a", "a", "b", "b", None], "None cannot: leave those rows out"),
    "nullable": (pd.array([0, 0, 0, 1, 1, None], dtype="Int64"), "y[5] is"),
    "text of pandas": (pd.Series(["a", "a", None, "b", "b", "b"]), "y[2] is"),
    "dates": (
        np.array(["2020", "2021", "NaT", "2020", "2021", "2020"], "M8[D]"),
        "NaT, but y[2] is",
    ),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_without_an_order_are_told_in_plain_words(name):
    labels, told = LABELS[name]
    with pytest.raises((TypeError, ValueError), match=r"^y must ") as error:
        nc.collapse(X, labels)
    assert told in str(error.value)
    assert "instances of" not in str(error.value)


def test_class_means_lost_beside_a_huge_constant_are_not_said_to_coincide():
    """The means of these classes differ by 20 in the first column; 2e17 in the second leaves no
    proven digit of it.
    """
    huge = np.column_stack([X[:, 0] + 20 * y, np.full(6, 2e17)])
    with pytest.warns(nc.AccuracyWarning, match="centre or scale the features") as told:
        assert nc.collapse(huge, y).error_bound == np.inf
    assert not any("coincide" in str(warning.message) for warning in told)


K = nc.NNGP("relu")
MISTAKES = {
    "a class of kernels": (lambda: nc.collapse(X, y, nc.NTK), "give an object, NTK('relu')"),
    "a class in a list": (lambda: nc.collapse(X, y, [K, nc.Linear]), "give an object, Linear()"),  # type: ignore[list-item]
    "a name": (lambda: nc.collapse(X, y, "ntk"), "give an object, NTK('relu')"),
    "a name of an activation": (lambda: nc.collapse(X, y, "rbf"), "nc1fast.NNGP('rbf')"),
    "a name elsewhere": (lambda: nc.operator("NNGP", X), "give an object, NNGP('relu')"),
    "a class in an alignment": (lambda: nc.alignment(X, y, nc.NNGP), "object, NNGP('relu')"),
    "a column of a frame": (
        lambda: nc.collapse(pd.DataFrame({"a": X[:, 0], "kind": y}), "kind", K),
        "give the column, X['kind'], and X without it",
    ),
    "labels that are yielded": (lambda: nc.collapse(X, (k for k in y), K), "make a list of it"),
    "rows that are yielded": (
        lambda: nc.collapse((x for x in X), y, K),
        "a list of what it yields",
    ),
    "images": (lambda: nc.collapse(X[:, :, None], y, K), "(of images, X.reshape(len(X), -1))"),
    "one row": (lambda: nc.prediction.ridge(K, X, y, X[0]), "of one row, Z[None])"),
    "a function": (lambda: nc.NTK(np.tanh), "nc1fast.Activation(function, name=NAME)"),
    "a function of one number": (
        lambda: nc.Activation(lambda u: max(u, 0.0), name="mine"),
        "function must give phi of every entry of an array, but it raises ValueError: The truth",
    ),
    "no targets": (
        lambda: nc.prediction.ridge(K, X, None),
        "targets must be real numbers, got None",
    ),
    "one class": (lambda: nc.collapse(X, np.zeros(6), K), "at least two classes, got only 0.0"),
    "labels as targets": (lambda: nc.prediction.ridge(K, X, list("aabbcc")), "np.eye(n_classes)"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_the_way_out(name):
    call, told = MISTAKES[name]
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("given", [int, "gram", 3, nc.ClassSums])
def test_what_has_nothing_to_do_with_kernels_gets_no_advice(given):
    with pytest.raises((TypeError, ValueError), match=r"^kernel must be") as error:
        nc.collapse(X, y, given)
    assert "give an object" not in str(error.value)


def test_files_that_are_no_tables_of_commas_are_told_so(tmp_path):
    (tmp_path / "a.csv").write_text("a;b;label\n1;2;0\n")
    with pytest.raises(ValueError, match="separated by commas, are needed"):
        nc.datasets.load(tmp_path / "a.csv")
    (tmp_path / "a.txt").write_text("1 2 0\n")
    with pytest.raises(ValueError, match=r"unknown kind of file '\.txt', must be"):
        nc.collapse(tmp_path / "a.txt", None, K)


def test_targets_of_a_regression_are_noticed():
    rows, targets = np.tile(X, (2, 1)), np.linspace(0, 1, 12)
    with pytest.warns(UserWarning, match="12 different floats.*regression_collapse") as told:
        assert nc.collapse(rows, targets, K).nc1 == 0
    assert told[0].filename == __file__
    assert nc.collapse(rows, np.r_[y, y].astype(float), K).nc1 > 0  # floats, but classes


def test_an_error_inside_of_a_callable_says_what_it_is_given():
    with pytest.raises(ValueError, match="matmul") as error:
        nc.collapse(X, y, lambda a, b: float(a @ b))
    assert "blocks of rows" in error.value.__notes__[0]


def test_an_activation_that_overflows_is_an_error_and_no_warning():
    with pytest.raises(ValueError, match="NaN or Inf between -32 and 32"):
        nc.Activation(lambda u: np.exp(u**2), name="mine")
