"""Arrays of any library, by what they offer: `__array__`, `__dlpack__`, `__array_interface__`; and
what they may be made of.
"""

from __future__ import annotations

import numpy as np
import pytest

import nc1fast as nc

RNG = np.random.default_rng(0)
Y = np.arange(40) % 4
H = RNG.normal(size=(40, 5)) + 2.0 * np.eye(5)[Y]
RELU = nc.NNGP("relu")


class OnlyDLPack:
    """An array of a library that exchanges by DLPack alone."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class OnlyArray:
    """One that knows `__array__`."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)


class OnlyInterface:
    """One that knows NumPy's older protocol."""

    def __init__(self, array):
        self.array = array
        self.__array_interface__ = array.__array_interface__


def _strict(array):
    reason = "array-api-strict (extra: test)"
    return pytest.importorskip("array_api_strict", reason=reason).asarray(array)


def _torch(array):
    return pytest.importorskip("torch", reason="torch (extra: torch)").tensor(array)


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def _strided(array):
    wide = np.zeros(tuple(2 * n for n in array.shape))
    view = wide[::2, ::2] if array.ndim == 2 else wide.astype(array.dtype)[::2]
    view[...] = array
    return view[::-1][::-1]


def _big_endian(array):
    return array.astype(array.dtype.newbyteorder(">"))


def _negated(array):
    torch = pytest.importorskip("torch", reason="torch (extra: torch)")
    found = torch.tensor(-1j * array).conj().imag
    return found if array.dtype.kind == "f" else torch.tensor(array)


WAYS = {
    "DLPack": OnlyDLPack,
    "DLPack, read only": lambda array: OnlyDLPack(_read_only(array)),
    "__array__": OnlyArray,
    "__array_interface__": OnlyInterface,
    "array API": _strict,
    "torch": _torch,
    "torch, a view that negates": _negated,
    "read only": _read_only,
    "strided": _strided,
    "columns first": np.asfortranarray,
    "big endian": _big_endian,
    "memoryview": memoryview,
    "lists": lambda array: array.tolist(),
}


def _batches(X, y):
    sums = nc.FeatureSums()
    sums.update(X, y)
    return sums


CALLS = {
    "features": lambda X, y: nc.collapse(X, y).nc1,
    "kernel": lambda X, y: nc.collapse(X, y, RELU).nc1,
    "batches": lambda X, y: _batches(X, y).collapse().nc1,
    "class sums": lambda X, y: nc.class_sums(X, y, RELU).traces.tolist(),
    "held out": lambda X, y: nc.collapse(H, Y).evaluate(X, y).nc1,
    "matrix": lambda X, y: RELU(X).tolist(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", CALLS)
def test_rows_and_labels_of_any_library_are_the_same_numbers(call, way):
    given_X, given_y = WAYS[way](H), WAYS[way](Y)
    before = np.array(H), np.array(Y)
    assert CALLS[call](given_X, given_y) == CALLS[call](H, Y)
    np.testing.assert_array_equal(H, before[0])
    np.testing.assert_array_equal(Y, before[1])


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_small_floats_are_widened_exactly(name):
    torch = pytest.importorskip("torch", reason="torch (extra: torch)")
    kind = getattr(torch, name)
    given = torch.tensor(H).to(kind)
    wide = given.double().numpy()
    assert nc.collapse(given, Y).nc1 == nc.collapse(wide.astype(np.float32), Y).nc1
    assert nc.collapse(given, Y, RELU).nc1 == nc.collapse(wide.astype(np.float32), Y, RELU).nc1
    if name == "bfloat16":  # which NumPy's DLPack does not know
        assert nc.collapse(OnlyDLPack(given), Y).nc1 == nc.collapse(given, Y).nc1
    reason = "ml-dtypes (extra: test), whose types JAX's arrays have in NumPy"
    small = pytest.importorskip("ml_dtypes", reason=reason)
    again = H.astype(getattr(small, name))
    np.testing.assert_array_equal(again.astype(np.float64), wide)
    assert nc.collapse(again, Y).nc1 == nc.collapse(given, Y).nc1
    assert nc.collapse(OnlyArray(again), Y).nc1 == nc.collapse(given, Y).nc1


def test_a_probe_takes_arrays_of_any_library():
    torch = pytest.importorskip("torch", reason="torch (extra: torch)")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Linear(4, 3)).double()
    expected = nc.networks.probe(module, H, Y)["1"].nc1
    for way in WAYS.values():
        assert nc.networks.probe(module, way(H), way(Y))["1"].nc1 == expected
    parts = [slice(0, 16), slice(16, 40)]
    for wrap in (OnlyDLPack, _strict, np.asarray):
        batches = [(wrap(H[part]), wrap(Y[part])) for part in parts]
        named = [{"input": wrap(H[part]), "labels": wrap(Y[part])} for part in parts]
        for given in (batches, named, (wrap(H), wrap(Y))):
            found = nc.networks.probe(module, given)["1"].nc1
            assert found == pytest.approx(expected, rel=1e-12)


WORDS = np.array(["c", "a", "d", "b"])[Y]
OF_PANDAS = {
    "nullable": (lambda pd: pd.Series(Y, dtype="Int64"), Y),
    "category": (lambda pd: pd.Series(WORDS, dtype="category"), WORDS),
    "ordered": (lambda pd: pd.Categorical(WORDS, list("dczba"), ordered=True), WORDS),
    "string": (lambda pd: pd.Series(WORDS, dtype="string"), WORDS),
    "bool": (lambda pd: pd.Series(Y > 1, dtype="boolean"), Y > 1),
}


@pytest.mark.parametrize("kind", OF_PANDAS)
def test_labels_of_pandas(kind):
    pd = pytest.importorskip("pandas", reason="pandas (extra: test)")
    made, plain = OF_PANDAS[kind]
    y = made(pd)
    found, expected = nc.collapse(pd.DataFrame(H), y), nc.collapse(H, plain)
    assert found.nc1 == expected.nc1
    assert found.labels.tolist() == expected.labels.tolist()
    assert (found.sizes == expected.sizes).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: H.astype(complex), "X must be real numbers"),
        (lambda: H.astype(np.longdouble), "at most 64 bits"),
        (lambda: _torch(H).to_sparse(), "X must be an array of numbers"),
        (lambda: _torch(H).to("meta"), "X must be an array of numbers"),
        (lambda: OnlyArray(H.astype(str)), "X must be real numbers"),
        (lambda: np.ma.masked_greater(H, 1), "X must not be masked"),
        (lambda: np.zeros((40, 1), "f4, f4"), "X must be real numbers"),
        (lambda: np.zeros((40, 2), "V4"), "X must be real numbers"),
        (object, "X must be real numbers.*a object is no dense array"),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        nc.collapse(given(), Y)


def test_sparse_rows_are_told_the_way_out():
    sparse = pytest.importorskip("scipy.sparse", reason="scipy (extra: prediction)")
    with pytest.raises(TypeError, match=r"a csr_matrix is no dense array, its toarray\(\) is"):
        nc.collapse(sparse.csr_matrix(H), Y)
