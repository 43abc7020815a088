"""What is installed: the version, the typing marker, the public names, the extras and the messages
for a missing one.
"""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nc1fast

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "nc1fast"
CONTRACT = {
    *("Linear", "ConjugateKernel", "NNGP", "NTK", "LeakyReLU", "activations", "datasets", "compat"),
    *("collapse", "collapse_each", "class_sums", "to_table", "Collapse", "ClassSums"),
    *("FeatureSums", "AccuracyWarning"),
}
EXTRAS = {"cli", "study", "torch", "adaptive", "distributed", "cuda", "all", "test", "bench"}


def test_version_is_the_installed_one() -> None:
    assert nc1fast.__version__ == importlib.metadata.version("nc1fast")


def test_changelog_has_an_entry_for_the_version() -> None:
    entry = rf"^## {re.escape(nc1fast.__version__)}\b"
    assert re.search(entry, (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_public_names_are_there() -> None:
    assert set(nc1fast.__all__) >= CONTRACT
    assert len(set(nc1fast.__all__)) == len(nc1fast.__all__)
    for name in CONTRACT | set(nc1fast.__all__):
        assert getattr(nc1fast, name) is not None


def test_a_listing_of_the_package_shows_public_names_alone() -> None:
    assert set(dir(nc1fast)) == {*nc1fast.__all__, "__version__"}
    modules = [getattr(nc1fast, name) for name in nc1fast.__all__]
    for module in [m for m in modules if inspect.ismodule(m)] + [nc1fast.kernels]:
        assert dir(module) == sorted(module.__all__), module


def test_public_names_have_docstrings() -> None:
    for name in nc1fast.__all__:
        documented = getattr(nc1fast, name)
        if callable(documented):
            assert documented.__doc__, name
            assert not documented.__doc__.startswith(f"{name}("), (
                f"{name} has only its generated docstring"
            )


def test_numpy_is_the_only_requirement() -> None:
    requirements = importlib.metadata.requires("nc1fast") or []
    assert [r for r in requirements if "extra ==" not in r] == ["numpy>=2.0"]


def test_every_promised_extra_exists() -> None:
    extras = set(importlib.metadata.metadata("nc1fast").get_all("Provides-Extra") or [])
    assert extras >= EXTRAS


def test_command_line_entry_point() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="nc1fast")
    assert callable(script.load())


def test_package_is_typed() -> None:
    assert nc1fast.__file__ is not None
    package = Path(nc1fast.__file__).parent
    assert (package / "py.typed").exists()
    assert (package / "_core.pyi").exists()


def test_licence_is_bsd() -> None:
    metadata = importlib.metadata.metadata("nc1fast")
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata.get_all("License-File") == ["LICENSE", "LICENSE.bundled"]


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("typer", "cli"),
        ("matplotlib", "study"),
        ("torch", "torch"),
        ("sklearn", "sklearn"),
        ("torchmetrics", "torchmetrics"),
        ("xarray", "tables"),
        ("pandas", "tables"),
    ],
)
def test_a_missing_extra_is_named(module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nc1fast.support.extras import require

    monkeypatch.setitem(sys.modules, module, None)  # as Python marks what cannot be imported
    with pytest.raises(ImportError, match=rf"nc1fast\[{extra}\]"):
        require(module, extra)


def test_importing_the_package_loads_numpy_alone() -> None:
    program = (
        "import sys, numpy.random; before = set(sys.modules); import nc1fast;"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - "
        "sys.stdlib_module_names))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert set(result.stdout.split()) <= {"nc1fast", "numpy"}


def test_collapse_needs_numpy_alone() -> None:
    """With every extra out of reach, the three lines of the README still run."""
    program = """
import importlib.metadata, re, sys
for requirement in importlib.metadata.requires("nc1fast"):
    name = re.match(r"[\\w-]+", requirement).group().lower()
    if name not in ("numpy", "nc1fast"):
        others = {"pyyaml": "yaml", "scikit-learn": "sklearn", "cupy-cuda13x": "cupy"}
        sys.modules[others.get(name, name)] = None
import nc1fast as nc
X, y = nc.datasets.gaussian_mixture(means=(-2, 2), stds=0.5, sizes=(20, 30), n_features=8, seed=0)
result = nc.collapse(X, y, nc.NTK("erf"), convention="sample")
print(0 < result.nc1 < 1)
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.stdout.split() == ["True"], result.stderr


@pytest.mark.tools
def test_a_plain_build_leaves_a_cuda_compiler_alone(tmp_path: Path) -> None:
    """Kernels for every architecture take minutes, and old compilers fail: CUDA is for those who
    ask for it.
    """
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake")
    pybind11 = pytest.importorskip("pybind11")
    asked = tmp_path / "asked"
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text(f"#!/bin/sh\ntouch '{asked}'\nexit 1\n")
    nvcc.chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if k not in ("CUDACXX", "CMAKE_ARGS")}
    environment["PATH"] = f"{nvcc.parent}{os.pathsep}{environment['PATH']}"
    settings = [
        f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
        f"-DPython_EXECUTABLE={sys.executable}",
    ]
    command = ["cmake", "-S", ROOT, "-B", tmp_path / "build", *settings]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert not asked.exists()


def _stub_signatures(module: str) -> dict[str, str]:
    tree = ast.parse((PACKAGE / f"{module}.pyi").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    found = {node.name: f"({', '.join(arg.arg for arg in node.args.args)})" for node in functions}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            members = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
            found[node.name] = f"has {', '.join(sorted(members))}"
    return found


def test_stub_says_what_the_module_has() -> None:
    """Names of functions and of their parameters, which pybind11 writes into the first line of the
    docstring; of classes, of what they have.
    """
    compiled = importlib.import_module("nc1fast._core")
    found = {}
    for name in dir(compiled):
        if name.startswith("__"):
            continue
        if isinstance(kind := getattr(compiled, name), type):
            found[name] = f"has {', '.join(sorted(n for n in vars(kind) if n[0] != '_'))}"
            continue
        signature = getattr(compiled, name).__doc__.splitlines()[0]
        parameters = re.findall(r"(?:\(|, )(\w+): ", signature.partition(" -> ")[0])
        found[name] = f"({', '.join(parameters)})"
    assert found == _stub_signatures("_core")
