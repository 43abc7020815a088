"""Promises kept by registries: a new metric, kernel or activation needs one definition, and is then
everywhere.
"""

from __future__ import annotations

import ast
import importlib
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from tests.house import TREES, room

import nc1fast as nc
from nc1fast import metrics
from nc1fast.kernels.registry import KERNELS
from nc1fast.metrics import Metric
from nc1fast.metrics.table import metric_columns, metrics_of

activations = importlib.import_module(
    "nc1fast.core.activations"
)  # nc.activations is a function of it


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1, 2], 40)
    return rng.normal(size=(120, 4)) + y[:, None], y


def _largest(geometry):
    return float(geometry.V.max())


def test_a_metric_is_one_function_and_one_line(data, monkeypatch):
    monkeypatch.setitem(metrics.METRICS, "largest_within", Metric(_largest))
    X, y = data
    result = nc.collapse(X, y, nc.NNGP("relu"))
    expected = result.within_by_class.max()
    assert result.largest_within == expected
    assert result.under("sample").largest_within == expected
    assert nc.to_table(result)["largest_within"] == [expected]
    assert "largest_within" in metric_columns()  # those of the traces of trainings
    assert metrics_of(result)["largest_within"] == expected
    assert "largest_within" in dir(result)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = result.nonsense
    pytest.importorskip("torch")
    network = nc.networks.ShallowNetwork("relu", 4, width=8, seed=0)
    trace = nc.networks.train(network, X, y, epochs=1)
    assert (trace.table["largest_within"] > 0).all()


DEFINITION = """
from dataclasses import dataclass
from nc1fast.core.chains import COVARIANCE, Chain
from nc1fast.kernels import Kernel

@dataclass(frozen=True)
class ArcCosine(Kernel):
    scale: float = 0.7
    depth = 2
    option = "arccosine"

    def chain(self, n_features):
        return Chain("relu", 0.0, (float(n_features),), (0.0,), COVARIANCE,
                     outputs=[(1, COVARIANCE, 2 * self.scale, 0.0)])
"""


@pytest.fixture
def arc_cosine(tmp_path, monkeypatch):
    """A kernel that only its class defines: scale |x| |z| (sin t + (pi - t) cos t)/pi."""
    (tmp_path / "outside.py").write_text(DEFINITION)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("outside").ArcCosine()
    del KERNELS["ArcCosine"], sys.modules["outside"]


def _gram(X):
    norms = np.linalg.norm(X, axis=1)
    angle = np.arccos(np.clip(X @ X.T / np.outer(norms, norms), -1, 1))
    J = np.sin(angle) + (math.pi - angle) * np.cos(angle)
    return 0.7 / math.pi * np.outer(norms, norms) * J


def test_a_kernel_is_one_class(arc_cosine, data, tmp_path):
    X, y = data
    K = _gram(X)
    np.testing.assert_allclose(arc_cosine(X), K, rtol=1e-12)
    np.testing.assert_allclose(arc_cosine.diag(X), np.diag(K), rtol=1e-12)
    result = nc.collapse(X, y, arc_cosine)
    assert result.nc1 == pytest.approx(nc.collapse(K, y, "precomputed").nc1, rel=1e-10)
    assert nc.to_table(result)["kernel"] == ["ArcCosine"]
    sums = nc.class_sums(X, y, [arc_cosine, nc.NNGP("relu")])[0]
    sums.save(tmp_path / "sums.npz")
    assert nc.ClassSums.load(tmp_path / "sums.npz").kernel == arc_cosine


def test_a_kernel_has_estimates_and_its_shortcut(arc_cosine, data):
    X, y = data
    exact = nc.collapse(X, y, arc_cosine).nc1
    for method in ("features", "pairs"):
        low, high = nc.collapse(X, y, arc_cosine, method=method, confidence=0.999, seed=1).interval
        assert low < exact < high
    quick = nc.collapse(X[:, :2], y, arc_cosine, method="shortcut")
    assert quick.nc1 == pytest.approx(nc.collapse(X[:, :2], y, arc_cosine).nc1, rel=1e-10)


def test_a_kernel_is_a_choice_of_the_command_line(data, tmp_path):
    pytest.importorskip("typer")
    X, y = data
    np.savez(tmp_path / "data.npz", X=X, y=y)
    program = DEFINITION + "from nc1fast.cli import main\nmain()\n"
    arguments = ["collapse", str(tmp_path / "data.npz"), "--kernel", "arccosine", "--json"]
    found = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    printed = json.loads(found.stdout)
    assert printed["kernel"] == "ArcCosine"
    assert printed["nc1"] == pytest.approx(nc.collapse(_gram(X), y, "precomputed").nc1, rel=1e-9)


def test_an_activation_is_one_line_beside_its_struct(monkeypatch):
    line = activations.Traits(lambda f, u: f.relu(u) + u, lambda f, u: f.step(u) + 1)
    monkeypatch.setitem(activations._NAMED, "bent", line)
    assert "bent" in activations.activations()
    assert nc.NTK("bent").activation == "bent"
    phi, slope = activations.of_arrays("bent")
    u = np.array([-2.0, 3.0])
    np.testing.assert_array_equal(phi(u), [-2.0, 6.0])
    np.testing.assert_array_equal(slope(u), [1.0, 2.0])
    torch = pytest.importorskip("torch")
    assert activations.phi("bent")(torch.tensor(u)).tolist() == [-2.0, 6.0]


def test_slopes_and_parities_of_the_registry_are_those_of_phi():
    u = np.linspace(-3, 3, 601) + 1e-3
    for name in activations.activations():
        known = activations.traits(activations.as_activation(name))
        phi, slope = activations.of_arrays(activations.as_activation(name))
        if known.parity:
            np.testing.assert_allclose(phi(-u), known.parity * phi(u), rtol=1e-12)
        if slope is not None:
            difference = (phi(u + 1e-6) - phi(u - 1e-6)) / 2e-6
            np.testing.assert_allclose(slope(u), difference, rtol=1e-6, atol=1e-6)
        if known.homogeneous is not None:
            degree, odd, even = known.homogeneous
            expected = (odd * np.sign(u) + even) * np.abs(u) ** degree
            np.testing.assert_allclose(phi(u), expected, rtol=1e-12, atol=1e-15)


def test_the_core_and_the_registry_agree_on_what_is_differentiable():
    from nc1fast import _core

    for name, known in _core.activations().items():
        assert known["differentiable"] == activations.has_ntk(name)
        assert known["jump"] == (not known["differentiable"])


OUTSIDE = {
    "activations",
    "reference",
    "studies",
    "cli",
    "support",
}  # the registry, examples, functions


def test_no_other_list_says_anything_of_several_activations():
    """Closed forms of one activation each, as tables of functions, are no lists of what activations
    are like.
    """
    names = set(activations.activations())
    found = [
        f"{module}:{node.lineno}"
        for module, tree in TREES.items()
        if room(module) not in OUTSIDE
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple | ast.List | ast.Set)
        and sum(isinstance(e, ast.Constant) and e.value in names for e in node.elts) > 1
    ]
    assert found == []
