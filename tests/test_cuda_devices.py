"""Names of devices, machines without them, and builds without CUDA."""

from __future__ import annotations

import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import cuda


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "CUDA", "", "cuda:all:1"])
def test_names_that_mean_no_device(name):
    with pytest.raises(ValueError, match="device must be one of 'cpu', 'cuda'"):
        nc.collapse(np.eye(4), [0, 0, 1, 1], nc.NNGP("relu"), device=name)


def _machine(monkeypatch, capabilities):
    """A machine with devices of these compute capabilities, that run nothing."""

    def info(index):
        memory = {"free_memory": 1, "total_memory": 2}
        kind = {"compute_capability": capabilities[index], "multiprocessors": 1}
        return {"name": "none", **kind, **memory}

    module = SimpleNamespace(
        device_count=lambda: len(capabilities),
        no_device=lambda: "CUDA driver version is insufficient",
        device_info=info,
    )
    monkeypatch.setattr(cuda, "module", lambda: module)


def test_machines_without_the_device(monkeypatch, call, tmp_path):
    def collapse(device):
        return nc.collapse(np.eye(4), [0, 0, 1, 1], nc.NNGP("relu"), device=device)

    with pytest.raises(TypeError, match="device must be one of"):
        collapse(0)
    _machine(monkeypatch, [])
    assert not nc.cuda.available()
    with pytest.raises(nc.cuda.DeviceError, match="there is none: CUDA driver version"):
        collapse("cuda")
    np.savez(tmp_path / "data.npz", X=np.eye(4), y=[0, 0, 1, 1])
    code, _, err = call("collapse", tmp_path / "data.npz", "--device", "cuda")
    assert code == 2
    assert err.startswith("nc1fast: device='cuda', but there is none")
    _machine(monkeypatch, [(9, 0), (8, 0)])
    with pytest.raises(ValueError, match="those there are, cuda:0, cuda:1, got 'cuda:2'"):
        collapse("cuda:2")
    with pytest.raises(ValueError, match=r"one compute capability, got 8\.0, 9\.0"):
        collapse("cuda:all")


def test_a_build_without_cuda_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "nc1fast._cuda", None)
    monkeypatch.setattr(cuda, "find_spec", lambda name: None)
    assert not nc.cuda.available()
    with pytest.raises(
        nc.cuda.DeviceError,
        match="has no CUDA: pip install nc1fast-cuda13, or build it where nvcc is",
    ):
        nc.NNGP("relu")(np.eye(3), device="cuda")


@pytest.fixture
def separate(monkeypatch, tmp_path):
    """Installs what stands for nc1fast-cuda13 in a version, with a module or without one that can
    be loaded.
    """

    def install(version, module="no_device = lambda: 'no driver'\ndevice_count = lambda: 0\n"):
        (tmp_path / "nc1fast_cuda13").mkdir()
        (tmp_path / "nc1fast_cuda13" / "__init__.py").touch()
        (tmp_path / "nc1fast_cuda13" / "_cuda.py").write_text(module)
        if version is not None:
            told = tmp_path / f"nc1fast_cuda13-{version}.dist-info"
            told.mkdir()
            metadata = f"Metadata-Version: 2.1\nName: nc1fast-cuda13\nVersion: {version}\n"
            (told / "METADATA").write_text(metadata)

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "nc1fast._cuda", None)
    cuda._separate.cache_clear()
    yield install
    cuda._separate.cache_clear()
    for name in ("nc1fast_cuda13._cuda", "nc1fast_cuda13"):
        sys.modules.pop(name, None)


def test_the_separate_distribution_is_found(separate):
    separate(nc.__version__)
    assert cuda.module().__name__ == "nc1fast_cuda13._cuda"
    assert not nc.cuda.available()
    with pytest.raises(nc.cuda.DeviceError, match="but there is none: no driver"):
        nc.NNGP("relu")(np.eye(3), device="cuda")


OLD = r"9\.9\.9 is there, but nc1fast is .*: pip install nc1fast-cuda13=="


@pytest.mark.parametrize(
    ("version", "module", "told"),
    [
        ("9.9.9", "", OLD),
        (f"{nc.__version__}.post1", "", "post1 is there, but nc1fast is"),
        (None, "", "nc1fast-cuda13 cannot be loaded: .*metadata"),
        (
            nc.__version__,
            "raise ImportError('libfoo.so: not there')",
            r"loaded: libfoo\.so: not there",
        ),
    ],
)
def test_a_distribution_that_does_not_fit_is_refused(separate, version, module, told):
    separate(version, module)
    assert not nc.cuda.available()
    with pytest.raises(nc.cuda.DeviceError, match=told):
        cuda.module()
    assert "nc1fast_cuda13._cuda" not in sys.modules


def test_the_module_of_the_build_itself_comes_first(separate, monkeypatch):
    separate("9.9.9")
    own = types.ModuleType("nc1fast._cuda")
    monkeypatch.setitem(sys.modules, "nc1fast._cuda", own)
    assert cuda.module() is own
