"""Many data sets in one call: the bits of single calls, the numbers of dense references, errors and
warnings with their number.
"""

from __future__ import annotations

import sys
import threading
import warnings
import weakref
from typing import Any

import numpy as np
import pytest
from tests.cases import FEW, KERNELS, assert_same_bits, data

import nc1fast as nc
from nc1fast import metrics, reference
from nc1fast.methods import each

RELU = nc.NNGP("relu")
QUIET = {"convention": "papyan"}
pytestmark = pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")


@pytest.fixture(autouse=True)
def _tiny_ones_run_beside_each_other(monkeypatch):
    monkeypatch.setattr(each, "_LEAST", 0)


def _drawn(rng, largest=90):
    """Rows and labels of a random size, kind and layout."""
    n_classes, d = int(rng.integers(2, 6)), int(rng.integers(1, 12))
    y = rng.permutation(np.arange(int(rng.integers(2 * n_classes, largest))) % n_classes)
    X = rng.normal(size=(n_classes, d))[y] + rng.normal(size=(len(y), d)) * 10.0 ** rng.integers(
        -6, 1
    )
    kinds = [
        *(lambda: X, lambda: X.astype(np.float32), lambda: np.asfortranarray(X), X.tolist),
        lambda: np.repeat(X, 2, axis=1)[::-1, ::2][::-1],
        lambda: (10 * X + y[:, None]).round().astype(np.int16) * 2 + 1,
    ]
    labels = [lambda: y, y.tolist, lambda: np.array(list("edcba"))[y], lambda: y * 0.5]
    X, y = kinds[rng.integers(6)](), labels[rng.integers(4)]()
    return [(X, y), [X, y]][rng.integers(2)]


def _single(data_sets, kernel, **settings):
    return [nc.collapse(X, y, kernel, **settings) for X, y in data_sets]


def _assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        if isinstance(other, list):
            _assert_same(one, other)
        else:
            assert_same_bits(one, other)
            assert one.kernel == other.kernel
            assert (one.method, one.reason, one.interval) == (
                other.method,
                other.reason,
                other.interval,
            )
            assert (one.convention, one.missing) == (other.convention, other.missing)


SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"statistics": "sums", "convention": "sample"},
    {"dtype": "float32", "convention": "class"},
    {"dtype": "mixed", "convention": "released"},
    {"keep_rows": True, "convention": "probe"},
    {"memory_limit": 1 << 26},
    {"method": "pairs", "tolerance": 0.3, "seed": 5, "convention": "class"},
    {"method": "auto", "confidence": 0.9},
)


@pytest.mark.parametrize("n_threads", [1, 2, 5, None])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_bits_are_those_of_single_calls(settings, n_threads, monkeypatch):
    """Whatever the sizes, on both sides of the size from which a data set has all threads for
    itself.
    """
    monkeypatch.setattr(each, "_MOST", 50**2 * (6 + each._EPILOGUE))
    rng = np.random.default_rng([len(str(settings)), n_threads or 0])
    settings = {**QUIET, **settings}
    data_sets = [_drawn(rng) for _ in range(9)]
    for kernel in (nc.NTK("relu", 3, 1.5, 0.1), nc.NNGP("erf")):
        # method="auto" tells what it expects of so many threads.
        expected = _single(data_sets, kernel, n_threads=n_threads, **settings)
        _assert_same(nc.collapse_each(data_sets, kernel, n_threads=n_threads, **settings), expected)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_several_kernels_give_a_list_for_each_data_set(n_threads):
    rng = np.random.default_rng(n_threads)
    data_sets = [_drawn(rng) for _ in range(7)]
    kernels = [nc.NNGP("relu"), nc.NTK("tanh", bias_variance=0.3), 0.5 * nc.NNGP("gelu") ** 2]
    found = nc.collapse_each(iter(data_sets), kernels, n_threads=n_threads, **QUIET)
    _assert_same(found, _single(data_sets, kernels, **QUIET))
    [alone] = nc.collapse_each(data_sets[:1], kernels[:1], **QUIET)
    assert [one.kernel for one in alone] == kernels[:1]


@pytest.mark.parametrize("n_threads", [1, 3])
def test_features_gram_matrices_callables_and_sequences(n_threads):
    rng = np.random.default_rng(n_threads + 10)
    drawn = [(np.asarray(X, float), y) for X, y in (_drawn(rng) for _ in range(6))]
    grams = [(X @ X.T, y) for X, y in drawn]
    sequences = [(np.stack([X, 2 * X], axis=2), y) for X, y in drawn if X.shape[1] > 2]

    def cubic(A, B):
        return (A @ B.T) ** 3

    recurrent = nc.RecurrentNTK(1.5)
    for data_sets, kernel in (
        (drawn, None), (grams, "precomputed"), (drawn, cubic), (sequences, recurrent),
    ):  # fmt: skip
        found = nc.collapse_each(data_sets, kernel, n_threads=n_threads, **QUIET)
        _assert_same(found, _single(data_sets, kernel, **QUIET))


@pytest.mark.parametrize("kind", ["linear", "nngp-erf", "ntk-erf"])
def test_dense_references_agree(kind):
    kernel = KERNELS[kind]
    data_sets = [
        data(sizes, 5, seed) for seed, sizes in enumerate(((5, 9), (20, 20, 21), FEW, (4, 4)))
    ]
    results = nc.collapse_each(data_sets, kernel, convention="class", n_threads=2)
    for (X, y), found in zip(data_sets, results, strict=True):
        expected = reference.collapse(reference.gram(kernel, X), y, "class")
        for name in ("nc1", "trace_within", "trace_between", "nc1_pinv", "cdnv", "nc2_etf"):
            np.testing.assert_allclose(
                getattr(found, name), expected[name], rtol=1e-8, atol=1e-14, err_msg=name
            )
        np.testing.assert_array_equal(found.nearest_center, expected["nearest_center"])


def test_files_lie_beside_arrays(tmp_path):
    data_sets = [data((20, 30), 4, seed) for seed in range(4)]
    np.savez(tmp_path / "first.npz", X=data_sets[0][0], y=data_sets[0][1])
    np.save(tmp_path / "X.npy", data_sets[2][0])
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    given = [(tmp_path / "first.npz", None), data_sets[1], (mapped, data_sets[2][1]), data_sets[3]]
    found = nc.collapse_each(given, RELU, n_threads=2, **QUIET)
    _assert_same(found, _single(data_sets, RELU, **QUIET))
    np.savetxt(tmp_path / "broken.csv", [[1.0, np.nan]], delimiter=",")
    with pytest.raises(ValueError, match=r"^data_sets\[1\]: .*broken.csv"):
        nc.collapse_each([data_sets[0], (tmp_path / "broken.csv", None)], RELU, **QUIET)
    with pytest.raises(FileNotFoundError, match=r"data_sets\[0\]: .*none.npz") as error:
        nc.collapse_each([(tmp_path / "none.npz", None)], RELU, **QUIET)
    assert error.value.filename == str(tmp_path / "none.npz")


def test_no_data_sets_give_no_results():
    assert nc.collapse_each([], RELU) == []
    assert nc.collapse_each((), [RELU, RELU], progress=lambda *_: None) == []


# Errors

X, Y = data((12, 20), 3)
NAN = np.where(np.arange(3) == 1, np.nan, X)
BROKEN = {
    "NaN": ((NAN, Y), ValueError, "X .*NaN"),
    "lengths": ((X, Y[1:]), ValueError, "y must have shape"),
    "one class": ((X, np.zeros(len(X))), ValueError, "two classes"),
    "complex": ((X * 1j, Y), TypeError, "X "),
    "no pair": (X, TypeError, r"must be a pair \(X, y\), got"),
    "a triple": ((X, Y, Y), TypeError, r"must be a pair \(X, y\), got"),
    "None": (None, TypeError, r"must be a pair \(X, y\), got None"),
}


@pytest.mark.parametrize("n_threads", [1, 4])
@pytest.mark.parametrize("name", BROKEN)
def test_an_error_names_its_data_set_and_has_that_of_the_single_call_as_cause(name, n_threads):
    broken, kind, message = BROKEN[name]
    data_sets = [(X, Y), (X, Y), broken, (X, Y), (NAN, Y)]
    with pytest.raises(kind, match=rf"^data_sets\[2\]: .*{message}") as error:
        nc.collapse_each(data_sets, RELU, n_threads=n_threads, **QUIET)
    assert type(error.value) is kind
    cause = error.value.__cause__
    assert str(error.value) == f"data_sets[2]: {cause}"
    if isinstance(broken, tuple) and len(broken) == 2:
        with pytest.raises(kind) as single:
            nc.collapse(*broken, RELU, **QUIET)
        assert str(cause) == str(single.value)


@pytest.mark.parametrize("n_threads", [1, 2, 8])
def test_the_error_of_an_iterable_comes_after_those_of_the_data_sets_before_it(n_threads):
    class GoneError(Exception):
        pass

    def stream(first):
        yield X, Y
        yield first
        yield X, Y
        raise GoneError("no more")

    with pytest.raises(GoneError, match=r"^no more$"):
        nc.collapse_each(stream((X, Y)), RELU, n_threads=n_threads, **QUIET)
    with pytest.raises(ValueError, match=r"^data_sets\[1\]: X "):
        nc.collapse_each(stream((NAN, Y)), RELU, n_threads=n_threads, **QUIET)

    def fails_at_once():
        raise KeyError("first")
        yield X, Y

    with pytest.raises(KeyError, match="first"):
        nc.collapse_each(fails_at_once(), RELU, n_threads=n_threads, **QUIET)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_an_error_of_another_kind_stays_as_it_is(n_threads):
    class OddError(Exception):
        def __init__(self, code, why):
            super().__init__(code, why)

    def kernel(A, B):
        raise OddError(3, "as it is")

    with pytest.raises(OddError, match="as it is") as error:
        nc.collapse_each([(X, Y)], kernel, n_threads=n_threads, **QUIET)
    assert error.value.args == (3, "as it is")


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"dtype": "float16"}, ValueError, "^dtype must"),
        ({"method": "pairs", "tolerance": -1}, ValueError, "^tolerance must"),
        ({"kernel": "relu"}, ValueError, "^kernel must"),
        ({"kernel": []}, ValueError, "^kernel must"),
        ({"n_threads": 0}, ValueError, "^n_threads must"),
        ({"progress": 1}, TypeError, "^progress must"),
        ({"journal": "x"}, TypeError, "journal"),
    ],
    ids=str,
)
def test_kernel_and_options_are_checked_once_before_any_data(settings, kind, message):
    def never():
        raise AssertionError("asked for")
        yield

    with pytest.raises(kind, match=message):
        nc.collapse_each(never(), **{"kernel": RELU, **settings})


@pytest.mark.parametrize("data_sets", [None, 3, "data.npz", {"X": X}, b"x"], ids=repr)
def test_what_is_no_iterable_of_pairs_is_refused(data_sets):
    with pytest.raises(TypeError, match=r"^data_sets must be an iterable of pairs \(X, y\), got "):
        nc.collapse_each(data_sets, RELU)


# Time and memory


@pytest.mark.parametrize("n_threads", [1, 2, 4])
@pytest.mark.parametrize("limit", [0, 1 << 30], ids=["large", "small"])
def test_a_generator_is_read_as_far_as_there_are_threads(n_threads, limit, monkeypatch):
    monkeypatch.setattr(each, "_MOST", limit)
    seen: list[weakref.ref[np.ndarray]] = []
    most: list[int] = []

    def stream():
        for _ in range(12):
            most.append(sum(one() is not None for one in seen))
            rows = X.copy()
            seen.append(weakref.ref(rows))
            yield rows, Y
            del rows

    assert len(nc.collapse_each(stream(), RELU, n_threads=n_threads, **QUIET)) == 12
    assert max(most) <= (n_threads + 1 if limit and n_threads > 1 else 1)


def test_callables_are_called_by_the_calling_thread_alone():
    seen: set[int] = set()

    def kernel(A, B):
        seen.add(threading.get_ident())
        return A @ B.T

    nc.collapse_each([(X, Y)] * 8, kernel, n_threads=4, **QUIET)
    assert seen == {threading.get_ident()}


def test_small_data_sets_run_beside_each_other():
    """Two that wait for each other come to an end on two threads."""
    both = threading.Barrier(2, timeout=60)

    class Rows(np.ndarray):
        def __getattribute__(self, name):
            if name == "dtype" and threading.current_thread() is not threading.main_thread():
                waiting = super().__getattribute__("__dict__")
                if not waiting.get("met"):
                    waiting["met"] = True
                    both.wait()
            return super().__getattribute__(name)

    data_sets = [(X.copy().view(Rows), Y), (X.copy().view(Rows), Y)]
    found = nc.collapse_each(data_sets, RELU, n_threads=2, **QUIET)
    _assert_same(found, _single([(X, Y)] * 2, RELU, **QUIET))


@pytest.mark.parametrize("lock", [True, False])
def test_threads_get_what_is_worth_one(lock, monkeypatch):
    """Tiny data sets alone would wait for the lock of the interpreter; between larger ones they
    take no turn of their own.
    """
    monkeypatch.setattr(each, "_LEAST", 1 << 24)
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: lock, raising=False)
    tiny, small, large = ((np.empty((n, 128)), None) for n in (64, 1000, 5000))
    listed = ([[1.0]] * 2000, None)
    given = [tiny, small, tiny, large, tiny, listed, small]
    expected = [not lock, True, True, False, not lock, False, True]
    assert [item.small for item in each._items(given, 1)] == expected
    assert not any(item.small for item in each._items(given, 0))


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("limit", [0, 1 << 30], ids=["large", "small"])
def test_progress_is_that_of_all_data_sets(n_threads, limit, monkeypatch):
    monkeypatch.setattr(each, "_MOST", limit)
    told: list[tuple[int, int]] = []
    threads: set[int] = set()

    def report(done, total):
        told.append((done, total))
        threads.add(threading.get_ident())

    larger = data((300, 500), 3)
    nc.collapse_each([(X, Y), larger, (X, Y)], RELU, n_threads=n_threads, progress=report, **QUIET)
    done, total = zip(*told, strict=True)
    assert set(total) == {300}
    assert list(done) == sorted(set(done))
    assert {100, 200, 300} <= set(done)
    assert threads == {threading.get_ident()}


def test_progress_needs_a_length():
    with pytest.raises(TypeError, match=r"^progress needs the number of data sets"):
        nc.collapse_each(iter([(X, Y)]), RELU, progress=lambda *_: None)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_an_error_of_a_progress_ends_the_call(n_threads):
    asked = []

    class Sets(list[tuple[np.ndarray, np.ndarray]]):
        def __iter__(self):
            for one in super().__iter__():
                asked.append(one)
                yield one

    def report(done, total):
        if done >= 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nc.collapse_each(Sets([(X, Y)] * 50), RELU, n_threads=n_threads, progress=report, **QUIET)
    assert len(asked) <= 2 + n_threads + 1


@pytest.mark.filterwarnings("default::nc1fast.AccuracyWarning")
@pytest.mark.parametrize("n_threads", [1, 3])
def test_warnings_have_the_number_of_their_data_set_and_point_at_the_caller(n_threads):
    near = 1.0 + 1e-9 * X  # erf NTK of depth 3: lost in rounding
    data_sets = [(X, Y), (near, Y), (X, Y), (near, Y)]
    deep = nc.NTK("erf", 3)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        nc.collapse_each(data_sets, deep, n_threads=n_threads, **QUIET)
        with warnings.catch_warnings(record=True) as single:
            warnings.simplefilter("always")
            nc.collapse(near, Y, deep, **QUIET)
    assert [str(one.message) for one in found] == [
        f"data_sets[{k}]: {one.message}" for k in (1, 3) for one in single
    ]
    assert found
    assert {(one.category, one.filename) for one in found} == {(nc.AccuracyWarning, __file__)}


@pytest.mark.parametrize("n_threads", [1, 3])
def test_imbalance_is_said_once(n_threads, monkeypatch):
    monkeypatch.setattr(metrics.definitions._imbalance, "said", False)
    with pytest.warns(
        UserWarning, match=r"^data_sets\[1\]: class sizes range from 12 to 20"
    ) as found:
        nc.collapse_each(
            [(X[:24], np.arange(24) % 2), (X, Y), (X, Y), (X, Y)], RELU, n_threads=n_threads
        )
    assert len(found) == 1
    monkeypatch.setattr(metrics.definitions._imbalance, "said", False)
    for _ in range(2):  # nothing has been shown where it is an error
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(UserWarning, match="class sizes range"):
                nc.collapse_each([(X, Y), (X, Y)], RELU, n_threads=n_threads)
