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
    """The means of these classes differ by 20 in the first column; 2e17 in the second leaves no proven digit of it."""
    huge = np.column_stack([X[:, 0] + 20 * y, np.full(6, 2e17)])
    with pytest.warns(nc.AccuracyWarning, match="centre or scale the features") as told:
        assert nc.collapse(huge, y).error_bound == np.inf
    assert not any("coincide" in str(warning.message) for warning in told)
