"""Labels of every origin: classes are told apart as Python tells them, or refused in one line that
names them.
"""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import fractions
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nc1fast as nc

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
RELU = nc.NNGP("relu")
NAN = float("nan")
Refused = (ValueError, TypeError)


class _Series:
    """What a data frame gives: an array on request, here of Python objects."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        out = np.empty(len(self.values), dtype=object)
        out[:] = self.values
        return out


class _NA:
    """A missing value that is neither equal nor unequal to anything, as pandas.NA."""

    def __ne__(self, other):
        return self

    __eq__ = __lt__ = __gt__ = __ne__

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")

    def __hash__(self):
        return 1


def _plain(label):
    return label.item() if isinstance(label, np.generic) else label


def _key(label):
    label = _plain(label)
    return type(label), label


def _number_or_key(label):
    """An integer among floats is one of them: 0.5 and 1 in one batch, 1.0 in the next."""
    kind, value = _key(label)
    return (complex if kind in (int, float, complex) else kind), value


def _assert_counted(sums, y, key=_key):
    """Class sizes by an independent count of labels that are equal and of one type."""
    counted = collections.Counter(map(key, y))
    found = [
        (label, int(size)) for label, size in zip(sums.labels.tolist(), sums.sizes, strict=True)
    ]
    assert len(found) == len(counted)
    by_value = {value: count for (_, value), count in counted.items()}
    assert len(by_value) == len(counted), "equal labels of two types were accepted"
    assert {label: by_value[label] for label, _ in found} == dict(found)


def _assert_names(error, name="y"):
    text = str(error.value)
    assert "\n" not in text
    assert re.search(rf"\b{name}\b", text), text


# --- what used to be merged, or dropped ---

APART = {
    "integers beyond 64 bits of either sign": [2**63, 2**63 + 1, -1],
    "integers beyond 128 bits": [2**130, 2**130 + 1, 0],
    "text that ends in NUL": ["a", "a\0", "b"],
    "bytes that end in NUL": [b"a", b"a\0", b"b"],
    "integers beside fractions": [2**53, 2**53 + 1, 0.5],
    "long doubles": np.array([1, 1 + np.finfo(np.longdouble).eps, 2], np.longdouble),
    "dates": [dt.date(2020, 1, 1), dt.date(2021, 1, 1), dt.date(2022, 1, 1)],
    "decimals": [decimal.Decimal(text) for text in ("0.1", "0.10000000000000000001", "2")],
    "an object array": np.array(["a", "b", "c"], dtype=object),
    "a frame of text": _Series(["a", "b", "c"]),
    "a frame of tuples": _Series([(0, 1), (0, 1, 2), (1,)]),
    "numbers and True": [True, 0, 2],
    "a deque": collections.deque([3, 1, 2]),
    "a range": range(3),
    "complex numbers": [1j, 2j, 1],
    "numpy scalars": [np.int64(1), 2, np.int8(3)],
    "bytes": np.array([b"a", b"b", b"c"]),
    "durations": np.array([1, 2, 3], "m8[s]"),
}  # fmt: skip


@pytest.mark.parametrize("name", APART)
def test_labels_that_differ_stay_apart(name):
    y = APART[name]
    values = list(y.values if isinstance(y, _Series) else y)
    repeated = (
        _Series(values * 4)
        if isinstance(y, _Series)
        else np.tile(y, 4)
        if isinstance(y, np.ndarray)
        else values * 4
    )
    sums = nc.class_sums(X, repeated, RELU)
    assert sums.sizes.tolist() == [4, 4, 4]
    if sums.labels.dtype.kind != "c":
        found = sums.labels.tolist()
        assert all(a < b for a, b in itertools.pairwise(found))
    in_batches = nc.FeatureSums()
    in_batches.update(X, repeated)
    np.testing.assert_array_equal(in_batches.class_sums().sizes, sums.sizes)
    np.testing.assert_array_equal(in_batches.class_sums().labels, sums.labels)


MERGED = {
    "NaN among objects": np.array(["a", NAN, "b"], dtype=object),
    "NaN among numbers": [0, NAN, 1],
    "two NaN": [0, NAN, np.nan],
    "NaN of decimals": [decimal.Decimal("NaN"), decimal.Decimal(1), decimal.Decimal(2)],
    "NaN of complex numbers": [complex(0, NAN), 1, 2],
    "NA of a frame": _Series([1, _NA(), 2]),
    "NaT": np.array(["2020", "NaT", "2021"], "M8[D]"),
    "NaT of durations": [np.timedelta64(n, "s") for n in (1, "NaT", 2)],
    "a number and its text": [1, "1", 2],
    "numbers and other text": [1, "2", 3],
    "text and its bytes": ["a", b"a", "b"],
    "True and 1": [True, 1, 2],
    "1 and 1.0": [1, 1.0, 2],
    "a half twice": [fractions.Fraction(1, 2), 0.5, 1],
    "None": [None, "a", "b"],
    "sets, which are not sorted": [frozenset({1}), frozenset({2}), frozenset({3})],
    "masked": np.ma.array([0, 1, 2], mask=[False, True, False]),
    "a masked one": [0, np.ma.masked, 1],
    "several fields": np.array([(1, 2.0), (2, NAN), (3, 0.0)], dtype="i8,f8"),
    "one-hot": np.eye(3),
    "a column": [[0], [1], [2]],
    "tuples": [(0, 1), (1, 0), (1, 1)],
    "lists, which have no hash": np.array([[0], [1, 2], [3]], dtype=object),
    "a set": {0, 1, 2},
    "a generator": (k for k in range(3)),
    "a dict": {0: 1, 1: 2, 2: 3},
    "a number": 3,
    "nothing": None,
}


@pytest.mark.parametrize("name", MERGED)
def test_labels_that_cannot_be_told_apart_are_refused(name):
    y = MERGED[name]
    with pytest.raises(Refused) as error:
        nc.collapse(X[:3], y, RELU)
    _assert_names(error)
    with pytest.raises(Refused) as error:
        nc.FeatureSums().update(X[:3], y)
    _assert_names(error)


def test_what_is_masked_nowhere_is_taken():
    y = np.ma.array(np.repeat([0, 1], 6))
    assert nc.collapse(np.ma.array(X), y, RELU).nc1 == nc.collapse(X, np.asarray(y), RELU).nc1


class _Lazy:
    """Gives its array when asked, masked or not, as arrays of dask do."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


MASKED = np.ma.array(X, mask=np.arange(36).reshape(12, 3) == 7)
Y = np.repeat([0, 1, 2], 4)
ROWS = {
    "collapse": lambda masked: nc.collapse(masked, Y, RELU),
    "features": lambda masked: nc.collapse(masked, Y),
    "what is masked when asked": lambda masked: nc.collapse(_Lazy(masked), Y, RELU),
    "a list of rows": lambda masked: nc.collapse(list(masked), Y, RELU),
    "Gram matrix": RELU,
    "columns": lambda masked: RELU(X, masked),
    "diagonal": RELU.diag,
    "class sums": lambda masked: nc.class_sums(masked, Y, RELU),
    "batch": lambda masked: nc.FeatureSums().update(masked, Y),
    "plan": lambda masked: nc.distributed.plan(masked, Y, RELU),
    "pairs": lambda masked: nc.estimators.pairs(masked, Y, RELU),
    "random features": lambda masked: nc.estimators.ntk_features(masked, RELU, 64),
    "codes": lambda masked: nc.estimators.proximal_features(masked, 64),
    "scale": lambda masked: nc.datasets.apply_scale(masked, "standardize"),
    "released": nc.compat.released.erf_ntk,
    "precomputed": lambda masked: nc.collapse(
        np.ma.array(X @ X.T, mask=np.eye(12)), Y, "precomputed"
    ),
    "callable": lambda masked: nc.collapse(X, Y, lambda a, b: np.ma.masked_less(a @ b.T, 0)),
    "adaptive": lambda masked: nc.adaptive.solve(masked, Y, noise=1.0),
    "targets": lambda masked: nc.adaptive.solve(X, masked[:, 1], noise=1.0),
    "sigma": lambda masked: nc.AdaptiveKernel(np.ma.array(np.eye(3), mask=np.eye(3) == 0)),
}


@pytest.mark.parametrize("name", ROWS)
def test_masked_data_are_refused(name):
    with pytest.raises(ValueError, match=r"^\w+ must not be masked, but \d+ of its entries are"):
        ROWS[name](MASKED)


def test_masked_arrays_of_dask_are_refused():
    array = pytest.importorskip("dask.array", reason="dask arrays (extra: distributed)")
    with pytest.raises(ValueError, match=r"^X must not be masked, but 1 of"):
        nc.collapse(array.from_array(MASKED, chunks=(5, 3)), Y, RELU)
    y = np.ma.array(Y, mask=Y == 1)
    with pytest.raises(ValueError, match=r"^y must not be masked, but 4 of"):
        nc.collapse(X, array.from_array(y, chunks=4), RELU)


# --- the same rule at every way in ---


def _load(y, folder):
    np.save(folder / "X.npy", X)
    return nc.datasets.load(folder / "X.npy", labels=y)


WAYS = {
    "collapse": lambda y, _: nc.collapse(X, y, RELU),
    "features": lambda y, _: nc.collapse(X, y),
    "precomputed": lambda y, _: nc.collapse(X @ X.T, y, "precomputed"),
    "callable": lambda y, _: nc.collapse(X, y, lambda a, b: a @ b.T),
    "shortcut": lambda y, _: nc.collapse(X[:, :1], y, RELU, method="shortcut"),
    "auto": lambda y, _: nc.collapse(X, y, RELU, method="auto"),
    "class sums": lambda y, _: nc.class_sums(X, y, RELU),
    "plan": lambda y, _: nc.distributed.plan(X, y, RELU),
    "journal": lambda y, folder: nc.collapse(X, y, RELU, journal=folder / "run.journal"),
    "pairs": lambda y, _: nc.estimators.pairs(X, y, RELU),
    "random features": lambda y, _: nc.estimators.features(X, y, RELU),
    "batches": lambda y, _: nc.FeatureSums().update(X, y),
    "control": lambda y, _: nc.adaptive.shuffled_control(X, y, noise=1.0),
    "file": _load,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "y", [[1, "1"] * 6, np.ma.array([0, 1] * 6, mask=[0, 1] * 6), np.array([0, NAN] * 6, object)]
)
def test_every_way_in_has_the_same_rule(way, y, tmp_path):
    with pytest.raises(Refused) as error:
        WAYS[way](y, tmp_path)
    _assert_names(error, "labels" if way == "file" else "y")
    assert not (tmp_path / "run.journal").exists()


def test_networks_have_the_same_rule():
    torch = pytest.importorskip("torch")
    network = nc.networks.ShallowNetwork("relu", 3, width=4, seed=0)
    for y in ([1, "1"] * 6, np.ma.array([0, 1] * 6, mask=[0, 1] * 6)):
        for call in (nc.networks.probe, lambda *a: nc.networks.train(*a, epochs=1)):
            with pytest.raises(Refused, match=r"\by must"):
                call(network, X, y)
    with pytest.raises(ValueError, match="data must not be masked"):
        nc.networks.probe(network, MASKED, Y)
    wide = [2**63, 2**63 + 1, -1] * 4
    found = nc.networks.probe(network, X, wide, batch_size=5)["post1"]
    assert found.labels.tolist() == sorted(set(wide))
    with pytest.raises(TypeError, match=r"\by must be an array"):
        nc.collapse(X, torch.eye(12).to_sparse(), RELU)


@pytest.mark.parametrize("labels", [[2**63, 2**63 + 1, -1], ["a", "a\0", "b"], [1, "1", 2]])
def test_labels_of_a_mixture_are_kept_or_refused(labels):
    with pytest.raises(Refused) as error:
        nc.datasets.gaussian_mixture((-1, 0, 1), 0.5, (2, 2, 2), 2, labels=labels)
    _assert_names(error, "labels")


def test_labels_of_a_table_that_float64_would_merge_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1,2,9007199254740993\n3,4,9007199254740992\n5,6,0.5\n")
    with pytest.raises(ValueError, match=r"a\.csv: has labels that differ"):
        nc.datasets.load(path)
    path.write_text("1,2,1.0\n3,4,1\n5,6,0.5\n")
    assert nc.datasets.load(path)[1].tolist() == [1, 1, 0.5]


# --- batches ---

CHANGES = {
    "bool after int": ([0, 1], [True, False]),
    "float after int": ([0, 1], [0.5, 1.5]),
    "text after bytes": ([b"a", b"b"], ["a", "b"]),
    "dates of another unit": tuple(np.array(["2020", "2021"], f"M8[{unit}]") for unit in "Ds"),
    "objects after numbers": ([0, 1], [decimal.Decimal(0), decimal.Decimal(1)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_another_kind_of_label_in_a_later_batch_is_refused(name):
    first, second = CHANGES[name]
    sums = nc.FeatureSums()
    sums.update(X[:2], first)
    before = sums.class_sums()
    with pytest.raises(ValueError, match=r"the type of labels y must stay the same, got \S+"):
        sums.update(X[2:4], second)
    np.testing.assert_array_equal(sums.class_sums().sizes, before.sizes)


def test_no_batch_is_lost_where_labels_outgrow_their_dtype():
    sums = nc.FeatureSums()
    for y in (
        np.array([-1, 0]),
        np.array([2**63, 2**63 + 1], np.uint64),
        np.array([0, 7], np.int8),
    ):
        sums.update(X[:2], y)
    assert sums.class_sums().labels.tolist() == [-1, 0, 7, 2**63, 2**63 + 1]
    assert sums.class_sums().sizes.tolist() == [1, 2, 1, 1, 1]


# --- any mixture of types ---

POOL = [
    *(0, 1, -1, 2, 2**53, 2**53 + 1, 2**63, 2**63 + 1, 2**70, True, False),
    *(0.0, -0.0, 1.0, 0.5, 2.0**53, 2.0**63, NAN, math.inf, 1j, 1 + 0j),
    *("a", "a\0", "1", "1.0", "True", "", "\0", b"a", b"a\0", b"1", None),
    *(np.int64(1), np.int8(-1), np.uint64(2**63), np.float32(0.1), np.float64(0.1), np.bool_(True)),
    *(np.str_("a"), np.bytes_(b"a"), fractions.Fraction(1, 2), decimal.Decimal(1)),
    *(np.datetime64("2020-01-01"), dt.date(2020, 1, 1), dt.date(2021, 1, 1)),
]
LABELS = st.one_of(
    st.lists(st.sampled_from(few), min_size=6, max_size=6)
    for few in (POOL, POOL[:11], POOL[11:21], POOL[21:27], [*POOL[:3], *POOL[32:36]])
)


def _sums_or_refusal(call):
    try:
        return call(), ""
    except Refused as error:
        return None, str(error)


@settings(max_examples=400)
@given(y=LABELS, container=st.sampled_from(["list", "tuple", "object array", "frame"]))
def test_sizes_are_those_that_python_counts(y, container):
    given_labels = {
        "list": lambda: y,
        "tuple": lambda: tuple(y),
        "object array": lambda: _Series(y).__array__(),
        "frame": lambda: _Series(y),
    }[container]()
    sums, refusal = _sums_or_refusal(lambda: nc.class_sums(X[:6], given_labels))
    if sums is None:
        assert re.fullmatch(r"y [^\n]*", refusal)
        return
    assert not any(label != label for label in y)  # noqa: PLR0124
    _assert_counted(sums, y)


@settings(max_examples=200)
@given(y=LABELS, cut=st.integers(1, 5))
def test_batches_count_as_python_does(y, cut):
    def in_two():
        sums = nc.FeatureSums()
        sums.update(X[:cut], y[:cut])
        sums.update(X[cut:6], y[cut:])
        return sums.class_sums()

    found, refusal = _sums_or_refusal(in_two)
    if found is None:
        assert re.fullmatch(r"[^\n]*\b(y|classes)\b[^\n]*", refusal)
        return
    _assert_counted(found, y, _number_or_key)


def test_labels_that_numpy_holds_are_as_before():
    for y in (np.repeat([3, 1, 2], 4), np.repeat(["c", "a", "b"], 4), np.repeat([0.5, -1, 2], 4)):
        for given_labels in (y, y.tolist(), y.astype(object), tuple(y)):
            sums = nc.class_sums(X, given_labels)
            labels, counts = np.unique(y, return_counts=True)
            assert sums.labels.dtype == labels.dtype
            np.testing.assert_array_equal(sums.labels, labels)
            np.testing.assert_array_equal(sums.sizes, counts)
