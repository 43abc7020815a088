"""Rows that lie on a device: surveyed, scaled and packed there, with the bits of rows that come
from the host. On pretended devices.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.gaussians import gaussians
from tests.pretended import Lender

import nc1fast as nc
from nc1fast import _core, cuda
from nc1fast.inputs.devices import BorrowedRows

CHUNK = 100  # rows of which the shim fetches numbers at a time: NC1FAST_FAR_CHUNK of its build
RELU, ERF = nc.NNGP("relu"), nc.NTK("erf", 3, 1.2, 0.1)
pytestmark = pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")


def _collapse(X, y, kernel, **settings):
    settings = {"convention": "papyan", "device": "cuda", "n_threads": 2, **settings}
    return nc.collapse(X, y, kernel, **settings)


def _arrays(result):
    """All that a pass computes."""
    sums = result.sums
    of = {name: getattr(sums, name) for name in ("block_sums", "traces", "within", "row_sums")}
    of |= {f"error of {name}": getattr(sums.error, name) for name in ("block_sums", "within")}
    return of | {"nc1": result.nc1, "error_bound": result.error_bound}


def _assert_same(found, expected):
    first, second = _arrays(found), _arrays(expected)
    for name, value in second.items():
        assert (value is None) == (first[name] is None)
        assert np.asarray(first[name]).tobytes() == np.asarray(value).tobytes(), name


# Bits
# ------------------------------------------------------------------------------------------------


def _layouts(X):
    """The same rows with other strides: null, none, negative, between others; and an address that
    is only a part of the place.
    """
    n, d = X.shape
    wide = np.full((2 * n, d + 3), np.nan, X.dtype)
    wide[::2, 1 : d + 1] = X
    yield Lender(X)
    yield Lender(np.asfortranarray(X), offset=64)
    yield Lender(np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1])
    yield Lender(wide[::2, 1 : d + 1], kind=13)


def _problem(seed):
    """Rows of a random type, size and scale; some zero, some equal, some opposite, one class of one
    row.
    """
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(4, 135)), int(rng.choice([1, 2, 7, 8, 31, 33, 64, 70]))
    sizes = np.array([1, 2, n - 3]) if seed % 3 else np.array([n // 2, n - n // 2])
    y = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    X = rng.normal(size=(len(sizes), d))[y] * rng.choice([0, 1, 100]) + rng.normal(size=(n, d))
    X *= rng.choice([1.0, 1e-3, 1e2]) * 10.0 ** rng.integers(-1, 1, size=(n, 1))
    X[n // 2], X[-1] = -X[0], X[1]
    if seed % 2:
        X[n // 3] = 0
    return X.astype(rng.choice([np.float32, np.float64])), y


KERNELS = (
    [RELU],
    [nc.NTK("relu"), nc.NNGP("abs", 2, 1.0, 0.3)],
    [nc.Linear(1.0, 0.3)],
    [ERF, nc.NNGP("erf")],
    [nc.NNGP("relu", 3, 1.0, 0.1) * nc.NTK("relu") + RELU],
)


@pytest.mark.parametrize("seed", range(30))
def test_the_bits_are_those_of_rows_from_the_host(watch, seed):
    X, y = _problem(seed)
    kernels = KERNELS[seed % len(KERNELS)]
    settings = {
        "dtype": ("float64", "float32", "mixed")[seed % 3],
        "statistics": ("sums", "all")[seed % 2],
        "keep_rows": bool(seed % 2),
    }
    expected = _collapse(X, y, kernels, **settings)
    lender = list(_layouts(X))[seed % 4]
    watch.start()
    found = _collapse(lender, y, kernels, **settings)
    for a, b in zip(found, expected, strict=True):
        _assert_same(a, b)
    assert (lender.brought, lender.given_back) == (0, lender.lent)
    assert watch.seen().held == (0, 0, 0, 0)


@pytest.mark.parametrize("d", [1, 5, 32])
def test_panels_of_lone_classes_signs_and_tiny_rows(watch, d):
    """Of one feature a packed row is its sign; of rows near their mean, small differences; of tiny
    ones, subnormal numbers.
    """
    rng = np.random.default_rng(d)
    y = np.repeat([0, 1, 2], (1, 66, 60))
    for scale in (1e-7, 3e-39, 1e-140):
        X = 1 + 1e-6 * rng.normal(size=(127, d))
        X *= np.where(rng.random((127, 1)) < 0.5, -1, 1) * np.where(y < 2, scale, 1.0)[:, None]
        kernel = nc.NNGP("relu", 2, 1.0, 0.5) if scale < 1e-30 else RELU
        for dtype in ("float64", "float32"):
            expected = _collapse(X, y, kernel, dtype=dtype)
            _assert_same(_collapse(Lender(X), y, kernel, dtype=dtype), expected)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "kernel", [nc.NTK("relu"), nc.NTK("erf", 2, 1.0, 0.3) * nc.NNGP("relu", 3)], ids=repr
)
def test_matrices_of_rows_in_place(watch, kernel, dtype):
    X, _ = gaussians((70, 5, 30), 9)
    Z = X[:20].astype(np.float32)
    for rows, columns in ((X, None), (X, Z), (Z, X)):
        expected = kernel(rows, columns, dtype=dtype, device="cuda:1")
        for there in ((True, True), (True, False), (False, True))[: 1 if columns is None else 3]:
            sides = [
                side if side is None or not lies else Lender(side, 1)
                for side, lies in zip((rows, columns), there, strict=True)
            ]
            found = kernel(*sides, dtype=dtype, device="cuda:1")
            assert type(found) is np.ndarray
            assert np.array_equal(found, expected)
            for side in sides:
                if isinstance(side, Lender):
                    assert (side.brought, side.given_back) == (0, 1)


def test_rows_do_not_cross(watch):
    """Of 390 rows of 500 features, 1.5 MB: a few numbers of each, and the sums of two classes."""
    X, y = gaussians((200, 190), 500)
    lender = Lender(X)
    watch.start()
    result = _collapse(lender, y, RELU, dtype="float32")
    seen = watch.seen()
    assert result.nc1 > 0
    # Codes, lengths twice, places, classes; per pass scalings, norms, fields, row sums and their
    # scales, padded.
    assert seen.fetched < 390 * (4 + 2 * 24) + 2 * 500 * 8 + 2 * 448 * 2 * 8 + 1000
    assert seen.sent < X.nbytes / 10
    watch.start()
    _collapse(X, y, RELU, dtype="float32")
    assert watch.seen().sent > X.nbytes  # what this counts
    watch.start()
    RELU(lender, Lender(X[:3]), device="cuda")
    assert watch.seen().sent < X.nbytes / 10
    assert lender.brought == 0


def test_rows_are_read_when_they_are_there(watch):
    """The library is given a stream to queue its work on, while the device of the rows is the
    current one.
    """
    X, y = gaussians((30, 5), 3)
    watch.use(0)
    lender = Lender(X, 1)
    _collapse(lender, y, RELU, device="cuda:1")
    assert lender.current == [1]
    assert [stream > 0 for stream in lender.streams] == [True]
    assert cuda.module().current_device() == 0


# What is said of the rows
# ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_found_where_they_are_on_the_host(watch, bad, dtype):
    X, y = gaussians((150, 141), 40)
    X = X.astype(dtype)
    for places in ([(0, 0)], [(290, 39)], [(CHUNK + 3, 33), (CHUNK + 4, 0), (200, 7)], [(99, 5)]):
        wrong = X.copy()
        wrong[tuple(np.transpose(places))] = bad
        told = []
        for rows in (wrong, lender := Lender(wrong)):
            with pytest.raises(ValueError, match="must be finite") as error:
                _collapse(rows, y, RELU)
            told.append(str(error.value))
            del error  # its frames hold the rows
        row, column = places[0]
        assert told[0] == told[1]
        assert f"X[{row}, {column}] is {bad}" in told[1]
        assert (lender.lent, lender.given_back, lender.brought) == (1, 1, 0)
    with pytest.raises(ValueError, match="Z must be finite"):
        RELU(X, Lender(wrong), device="cuda")
    assert watch.seen().held == (0, 0, 0, 0)


def test_rows_of_zeros_are_counted(watch):
    X, y = gaussians((150, 141), 40)
    X[[0, 99, 100, 290]] = 0
    X[7, :39] = 0
    lent = BorrowedRows.of(Lender(X), "cuda")
    assert lent is not None
    assert lent.zero_rows == 4
    for rows in (X, Lender(X)):
        with pytest.raises(ValueError, match="X has 4 zero rows, for which sign and step"):
            _collapse(rows, y, nc.NNGP("sign"))


def test_sums_of_a_survey_are_those_of_the_core(watch):
    """Beyond one chunk of rows, of classes that lie in it and across: every number of the
    survey.
    """
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, size=2 * CHUNK + 31).astype(np.int32)
    X = (5 + rng.normal(size=(len(y), 37))).astype(np.float32)
    lent = BorrowedRows.of(Lender(np.asfortranarray(X)), "cuda")
    assert lent is not None
    words = {"chains": [leaf.as_dict() for leaf in ERF.expression(37).leaves], "expressions": []}
    about = (y, np.bincount(y).tolist(), words, False, True, True, 2)
    order = np.argsort(y, kind="stable")
    expected = _core.survey(X, None, *about)
    n, cut = len(y), cuda.module().row_step([0])
    for rectangles in ([(0, n, 0, n)], [(0, cut, 0, cut), (cut, n, cut, n), (0, cut, cut, n)]):
        rest = (None, rectangles, 0, None, [0])
        found, sums = cuda.module().class_sums(lent.borrowed, None, order, *about, *rest)
        _, there = cuda.module().class_sums(X, None, order, *about, *rest)
        for a, b in zip(sums, there, strict=True):
            assert all(np.array_equal(a[name], b[name]) for name in b)
        assert found["centred"] == expected["centred"] == [True, True, True]
        assert all(np.array_equal(found[name], expected[name]) for name in ("mean", "norm"))
        for a, b in zip(found["kernels"], expected["kernels"], strict=True):
            assert all(np.array_equal(a[name], values) for name, values in b.items())
    means = np.array([X[y == c].astype(float).mean(axis=0) for c in range(3)])
    np.testing.assert_allclose(expected["mean"].reshape(3, 37), means, rtol=1e-13)


# Which rows are taken in place, and how they are given back
# ------------------------------------------------------------


def test_other_rows_take_the_old_road(watch):
    """By a copy on the host: other types, other devices, other roads, other versions of DLPack."""
    X, y = gaussians((30, 5), 4)
    sigma = np.eye(4) / 4
    apart = np.frombuffer(b"0" + X.tobytes(), X.dtype, offset=1).reshape(X.shape)  # unaligned
    expected = _collapse(X, y, RELU)
    with ThreadPoolExecutor(1) as pool:
        for lender, kernel, settings in (
            (Lender(X.astype(np.float16)), RELU, {}),
            (Lender((100 * X).astype(np.int64)), RELU, {}),
            (Lender(X, 1), RELU, {}),
            (Lender(apart), RELU, {}),
            (Lender(X), RELU, {"device": "cuda:all"}),
            (Lender(X), RELU, {"device": "cpu"}),
            (Lender(X), RELU, {"executor": pool}),
            (Lender(X, name=b"dltensor_versioned"), RELU, {}),
            (Lender(X, kind=1), RELU, {}),
            (Lender(X), nc.kernels.AdaptiveKernel(sigma), {}),
        ):
            found = _collapse(lender, y, kernel, **settings)
            assert lender.brought >= 1
            taken = lender.lent if lender._name == b"dltensor" else 0
            assert lender.given_back == taken
            if lender.array is X and kernel is RELU and settings.get("device") != "cpu":
                assert found.nc1 == expected.nc1
    sums = nc.class_sums(named := Lender(X), y, RELU, device="cuda")  # which hashes the rows
    assert named.brought == 1
    assert np.array_equal(sums.block_sums, expected.sums.block_sums)
    features = nc.collapse(lender := Lender(X), y, convention="papyan")
    assert lender.brought == 1
    assert features.nc1 == nc.collapse(X, y, convention="papyan").nc1


def test_rows_that_are_no_matrix_are_told_as_on_the_host(watch):
    X, y = gaussians((30, 5), 4)
    for wrong in (X[:, 0], X.reshape(35, 2, 2), X[:0], X[:, :0], 1j * X):
        told = []
        for rows in (wrong, lender := Lender(wrong)):
            with pytest.raises((TypeError, ValueError)) as error:
                _collapse(rows, y, RELU)
            told.append(str(error.value))
        assert told[0] == told[1]
        assert lender.lent == lender.given_back == 1


def test_a_library_that_refuses_is_asked_for_a_copy(watch):
    class Refusing(Lender):
        def __dlpack__(self, *, stream):
            raise BufferError("not this one")

    class Nowhere(Lender):
        def __dlpack_device__(self):
            raise ValueError("on several devices")

    X, y = gaussians((30, 5), 4)
    for kind in (Refusing, Nowhere):
        lender = kind(X)
        assert _collapse(lender, y, RELU).nc1 == _collapse(X, y, RELU).nc1
        assert (lender.lent, lender.brought) == (0, 1)
        assert watch.seen().held == (0, 0, 0, 0)


def test_rows_are_given_back_once_whatever_ends_the_call(watch):
    def stop(done, total):
        raise KeyboardInterrupt

    X, y = gaussians((70, 5), 3)
    for error, message, labels, kernel, settings in (
        (KeyboardInterrupt, None, y, RELU, {"progress": stop}),
        (ValueError, "y must", y[:-1], RELU, {}),
        (ValueError, "memory_limit", y, RELU, {"memory_limit": 9}),
        (ValueError, "out of range", y, nc.NNGP("exp"), {}),
    ):
        lender = Lender(400 * X)
        with pytest.raises(error, match=message):
            _collapse(lender, labels, kernel, **settings)
        assert (lender.lent, lender.given_back) == (1, 1)
        assert watch.seen().held == (0, 0, 0, 0)
    module = cuda.module()
    lent = module.rows_of(lender := Lender(X), 0)
    assert lent.shape == X.shape
    assert lent.dtype == "float64"
    words = RELU.expression(3).leaves[0].as_dict()
    for devices in ([1], [0, 1]):
        with pytest.raises(ValueError, match="rows lie on another device"):
            module.gram(lent, None, words, False, 1, None, devices)
    assert lender.given_back == 0
    del lent
    assert lender.given_back == 1
