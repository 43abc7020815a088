"""Arrays of CuPy and torch: rows that lie on a device, and Gram matrices that come back there."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.gaussians import gaussians
from tests.pretended import Lender

import nc1fast as nc


def _data():
    return gaussians((70, 5, 1, 29), 7)


class _Device(AbstractContextManager[None]):
    id = 1

    def __exit__(self, *_):
        return None


class _Array(np.ndarray):
    """An array of CuPy, as far as this package looks: host memory plays that of a device."""

    device: Any = _Device()

    @property
    def __cuda_array_interface__(self):
        return self.__array_interface__

    def get(self):
        return np.array(self)

    def __array__(self, *_, **__):
        raise TypeError("implicit conversion to a NumPy array is not allowed")


@pytest.fixture
def cupy(shim, monkeypatch):
    """A stand-in for CuPy, whose arrays the pretended devices can write to."""
    linalg = pytest.importorskip("scipy.linalg")
    stand_in: Any = ModuleType("cupy")
    extended: Any = ModuleType("cupyx")
    waited = []
    stream = SimpleNamespace(synchronize=lambda: waited.append(True))
    stand_in.cuda = SimpleNamespace(Device=nullcontext, get_current_stream=lambda: stream)
    stand_in.waited = waited
    stand_in.linalg = np.linalg
    stand_in.log, stand_in.eye = np.log, np.eye
    stand_in.empty = lambda shape, dtype: np.full(shape, np.nan, dtype).view(_Array)
    stand_in.asarray = lambda A: np.array(A).view(_Array)
    stand_in.asnumpy = lambda A: np.array(A.view(np.ndarray))

    @contextmanager
    def errstate(*, linalg):
        assert linalg == "raise"
        yield

    extended.errstate = errstate
    linalg_there: Any = ModuleType("cupyx.scipy.linalg")
    linalg_there.solve_triangular = lambda A, B, **how: linalg.solve_triangular(
        A.view(np.ndarray), np.asarray(B), **how
    )
    modules = {"cupy": stand_in, "cupyx": extended}
    modules |= {"cupyx.scipy": ModuleType("cupyx.scipy"), "cupyx.scipy.linalg": linalg_there}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return stand_in


@pytest.mark.parametrize(
    "kernel", [nc.NTK("erf"), nc.NTK("erf", 2, 1.0, 0.3) * nc.NNGP("relu", 3)], ids=repr
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_gram_matrices_come_back_as_the_kind_of_the_rows(cupy, dtype, kernel):
    X, _ = _data()
    X = X.astype(np.float32)
    there = X.view(_Array)
    expected = kernel(X, dtype=dtype, device="cuda:1")
    K = kernel(there, dtype=dtype)
    assert isinstance(K, _Array)
    assert cupy.waited
    assert np.array_equal(K.view(np.ndarray), expected)
    across = kernel(there, there[:7], dtype=dtype)
    assert np.array_equal(across.view(np.ndarray), expected[:, :7])
    assert type(kernel(there, dtype=dtype, device="cpu")) is np.ndarray
    assert type(kernel(there, dtype=dtype, device="cuda:0")) is np.ndarray


class _Lent(_Array):
    """One that lends its memory by DLPack as that of device 1."""

    lender: Any = None

    def __dlpack_device__(self):
        return 2, 1

    def __dlpack__(self, *, stream: Any = None, **_: Any) -> Any:
        type(self).lender = Lender(self.view(np.ndarray), 1)
        return self.lender.__dlpack__(stream=stream)

    def get(self):
        raise AssertionError("a copy on the host")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_matrices_of_rows_in_place_come_back_as_their_kind(cupy, dtype):
    X, y = _data()
    kernel, there = nc.NTK("erf"), X.astype(np.float32).view(_Lent)
    expected = kernel(X.astype(np.float32), dtype=dtype, device="cuda:1")
    for columns in (None, there[:7]):
        K = kernel(there, columns, dtype=dtype)
        assert type(K) is _Array
        assert np.array_equal(K.view(np.ndarray), expected[:, : None if columns is None else 7])
        assert there.lender.lent == there.lender.given_back == 1
    found = nc.collapse(there, y.view(_Array), kernel, convention="papyan", device="cuda:1")
    rows = X.astype(np.float32)
    assert found.nc1 == nc.collapse(rows, y, kernel, convention="papyan", device="cuda:1").nc1


def test_tensors_are_lent_without_their_gradient(cupy):
    """What torch would refuse: a tensor that is part of a graph."""

    class Tensor(Lender):
        is_cuda = True
        device = SimpleNamespace(index=1)
        plain = False

        def detach(self):
            self.plain = True
            return self

        def resolve_neg(self):
            return self

        def __dlpack__(self, *, stream):
            assert self.plain
            return super().__dlpack__(stream=stream)

    X, y = _data()
    tensor = Tensor(X, 1)
    found = nc.collapse(tensor, y, nc.NNGP("relu"), convention="papyan", device="cuda:1")
    assert (tensor.lent, tensor.given_back, tensor.brought) == (1, 1, 0)
    assert found.nc1 == nc.collapse(X, y, nc.NNGP("relu"), convention="papyan", device="cuda:1").nc1


def test_rows_and_labels_on_a_device_are_brought_over(cupy):
    X, y = _data()
    for kernel in (None, nc.NNGP("relu")):
        found = nc.collapse(X.view(_Array), y.view(_Array), kernel, convention="papyan")
        assert found.nc1 == nc.collapse(X, y, kernel, convention="papyan").nc1


@pytest.mark.parametrize("activation", ["erf", "relu"])
@pytest.mark.slow
def test_equations_of_state_on_a_device(cupy, activation):
    X, y = nc.datasets.paper_d1(40, 3, seed=0)
    settings = {"noise": 1e-2, "activation": activation, "width": 200}
    here = nc.adaptive.solve(X, y, **settings)
    there = nc.adaptive.solve(X.view(_Array), y.view(_Array), device="cuda:1", **settings)
    assert there.converged
    np.testing.assert_allclose(there.sigma, here.sigma, rtol=1e-8, atol=1e-10)
    assert there.free_energy == pytest.approx(here.free_energy, rel=1e-11)
    with pytest.raises(ValueError, match="device must be 'cuda' or 'cuda:INDEX' here"):
        nc.adaptive.solve(X, y, device="cuda:all", **settings)


def _no_copy(_):
    raise AssertionError("a copy on the host")


@pytest.mark.parametrize("library", ["torch", "cupy", "jax"])
@pytest.mark.parametrize("device", ["cuda"], indirect=True)
def test_rows_of_libraries_stay_on_the_device(library, device, monkeypatch):
    """The bits of rows that come from the host; of any strides, after what their library has
    queued.
    """
    X, y = gaussians((270, 45, 1, 129), 67)
    if library == "torch":
        torch = pytest.importorskip("torch")

        def made(A):
            return torch.from_numpy(A).to(device)
    elif library == "cupy":
        made = pytest.importorskip("cupy").asarray
    else:
        jax = pytest.importorskip("jax")
        there = jax.devices("gpu")[0]

        def made(A):
            return jax.device_put(A, there)

    monkeypatch.setattr("nc1fast.inputs.arrays.to_host", _no_copy)
    kernels = [nc.NTK("relu"), nc.NNGP("erf", 2, 1.0, 0.3)]
    for dtype in (np.float32, np.float64) if library != "jax" else (np.float32,):
        rows = X.astype(dtype)
        lent = [made(rows), 2 * made(rows) / 2]
        if library != "jax":
            lent += [made(rows.T.copy()).T, made(np.repeat(rows, 2, axis=0))[::2]]
        expected = nc.collapse(rows, y, kernels, convention="papyan", device=device)
        for there in lent:
            found = nc.collapse(there, y, kernels, convention="papyan", device=device)
            assert [one.nc1 for one in found] == [one.nc1 for one in expected]
            assert [one.error_bound for one in found] == [one.error_bound for one in expected]


def test_torch_tensors_of_a_device(device):
    torch = pytest.importorskip("torch")
    X, y = _data()
    tensor = torch.from_numpy(X).to(device)
    K: Any = nc.NTK("relu")(tensor)
    expected = nc.NTK("relu")(X, device=device)
    if device == "cuda":
        assert K.device == tensor.device
        K = K.cpu().numpy()
    assert np.array_equal(K, expected)
    labels = torch.from_numpy(y).to(device)
    found = nc.collapse(tensor, labels, nc.NNGP("relu"), convention="papyan", device=device)
    assert found.nc1 == nc.collapse(X, y, nc.NNGP("relu"), convention="papyan", device=device).nc1
