"""What every test shares: the machine named in the header, property tests without time limits,
devices, the command line.
"""

from __future__ import annotations

import json
import platform

import hypothesis
import numpy as np
import pytest

# A shared machine may stall at any moment, so no example has a deadline; the examples are the same
# on every run.
hypothesis.settings.register_profile("nc1fast", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("nc1fast")
pytest.register_assert_rewrite("tests.atlas_studies")


def pytest_report_header() -> str:
    import nc1fast
    from nc1fast.core.machine import cores

    return (
        f"nc1fast {nc1fast.__version__}, NumPy {np.__version__}, {platform.machine()}, {cores()} "
        f"cores"
    )


def _shim(monkeypatch):
    from nc1fast import cuda

    shim = pytest.importorskip("nc1fast._shim._cuda", reason="built without NC1FAST_SHIM=ON")
    monkeypatch.setattr(cuda, "module", lambda: shim)
    return shim


def _device(request, monkeypatch):
    """A name for `device=`, of what runs the tiles: skipped where it is not there."""
    import nc1fast as nc
    from nc1fast.core import machine

    if request.param == "cpu":
        return "cpu"
    if request.param == "shim":
        _shim(monkeypatch)
    elif not nc.cuda.available():
        pytest.skip(f"CUDA devices: {machine.devices()[1]['cuda']}")
    return "cuda"


device = pytest.fixture(params=["cpu", "cuda"], name="device")(_device)
small_device = pytest.fixture(params=["cpu", "cuda", "shim"], name="small_device")(_device)
other_device = pytest.fixture(params=["cuda", "shim"], name="other_device")(_device)


@pytest.fixture
def shim(monkeypatch):
    """The module that plays two devices on the host, in the place of real ones: skipped where it is
    not built.
    """
    return _shim(monkeypatch)


@pytest.fixture
def watch(monkeypatch):
    """What the shim has seen, and which of its calls is to fail; afterwards none is."""
    from tests.pretended import Watch

    watch = Watch(_shim(monkeypatch))
    yield watch
    watch.start()
    watch.use(0)


@pytest.fixture
def mixture(tmp_path):
    """A file of two Gaussian classes, whose arrays have two names each, and these arrays."""
    import nc1fast as nc

    settings = {"means": (-2, 2), "stds": 0.5, "sizes": (13, 13), "n_features": 3, "seed": 0}
    X, y = nc.datasets.gaussian_mixture(**settings)
    np.savez(tmp_path / "data.npz", X=X, y=y, features=X, classes=y)
    return tmp_path / "data.npz", X, y


@pytest.fixture
def call(capsys):
    """Run the command line; returns exit code, stdout and stderr."""
    from nc1fast.cli import main

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


@pytest.fixture
def answer(call):
    """Run the command line with --json; returns what it prints, which is no warning nor error."""

    def run(*arguments):
        code, out, err = call(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return run


@pytest.fixture
def refused(call):
    """Run a command line that is a mistake; returns the one line of its message."""

    def run(*arguments):
        code, out, err = call(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith("nc1fast: ")
        return err

    return run


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Make a distribution importable, with its plug-ins, until the test ends."""
    from tests.distributions import TEMPLATE, forget, uninstall, write_distribution

    from nc1fast.kernels.registry import KERNELS

    known = dict(KERNELS)

    def installed(points, name="other", **modules):
        folder = write_distribution(tmp_path / f"site-{name}", name, points, **modules)
        monkeypatch.syspath_prepend(folder)
        forget()
        return folder

    yield installed
    monkeypatch.undo()
    uninstall(known, tmp_path, TEMPLATE)
