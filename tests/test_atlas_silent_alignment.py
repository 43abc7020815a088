"""The study of silent alignment: its rows, its kernel machines against regression, its claims on
made rows and on a tiny preset.
"""

# ruff: noqa: RUF012  (the data of a study, which nothing changes)
from __future__ import annotations

import numpy as np
import pytest
from tests.atlas_studies import StudyChecks

import nc1fast as nc
from nc1fast.studies.library import silent_alignment as parts


class TestStudy(StudyChecks):
    name = "silent-alignment"
    tiny = """
  - {part: teachers, depth: [2, 3], inputs: [whitened, normal], scales: [0.1, 0.01], d0: 6,
     width: 10, n_samples: 12, fallen: [0, 0.5]}
  - {part: classes, inputs: [whitened, normal], scales: [0.1, 0.01], d0: 6, width: 10,
     n_samples: 12, fallen: [0, 0.5]}
  - {part: machines, inputs: [normal], scales: [0.01], d0: 6, width: 10, n_samples: 4}
  - {part: identity, activation: [relu], d0: [3], n_samples: 20}
  - {part: nc1, d0: [8], n_samples: 32, repeats: 1}
"""
    tiny_words = {"holds": {"SA1"}}
    things = 4
    figures = ["alignment", "collapse"]
    good = {
        "identity": 1e-15,
        "closed": 1e-15,
        "final": 1.001,
        "small": 0.99,
        "large": 0.45,
        "deep": 0.005,
        "graded": 1.5,
        "normal": 1.3,
        "like": 0.9999,
        "unlike": 0.97,
        "end": 0.003,
        "start": 0.2,
        "collapsed": 0.99,
        "over": 0.7,
    }
    changes = [
        ("SA1", {"identity": 1e-9}, "fails"),
        ("SA2", {"final": 1.05, "closed": 1e-3}, "fails"),
        ("SA3", {"small": 0.9, "large": 0.7}, "fails"),
        ("SA3", {"large": 0.7}, "depends on the data"),
        ("SA4", {"small": 0.4}, "fails"),
        ("SA5", {"deep": -0.01}, "fails"),
        ("SA6", {"graded": 0.9, "normal": 0.9}, "fails"),
        ("SA7", {"graded": 1.1, "normal": 1.1}, "fails"),
        ("SA7", {"normal": 1.1}, "depends on the data"),
        ("SA7", {"normal": 1.2}, "undecided"),
        ("SA8", {"like": 0.9, "unlike": 0.999}, "fails"),
        ("SA9", {"end": 0.1, "start": 0.05}, "fails"),
        ("SA10", {"collapsed": 0.5, "large": 1.4}, "fails"),
        ("SA11", {"over": 1.1}, "fails"),
    ]
    exact = {"SA1"}
    noise = 1e-4

    def fill(self, add, told, repeat):
        add("NTK", parts.IDENTITY, told["identity"], activation="relu", d0=8)
        for depth in (2, 3):
            for scale, shallow in ((0.1, told["large"]), (0.01, told["small"])):
                at = {"depth": depth, "inputs": "whitened", "scale": scale}
                share = shallow + told["deep"] * (depth - 2)
                add(parts.EARLY, parts.GAINED, share, **at)
                add(parts.EARLY, parts.COLLAPSED, told["collapsed"] * share / 0.99, **at)
                for thing in (parts.END, parts.LIMIT):
                    add(thing, parts.ALIGNMENT, 0.35, **at)
            add(parts.LIMIT, parts.CLOSED, told["closed"], **at)
            add(parts.END, parts.FINAL, told["final"], **at)
            for inputs, share, cosine in (
                ("whitened", None, told["like"]),
                ("normal", told["normal"], 0.99),
                ("graded", told["graded"], told["unlike"]),
            ):
                at = {"depth": depth, "inputs": inputs, "scale": 0.01}
                add(parts.EARLY, parts.LIKENESS, cosine, **at)
                add(parts.END, parts.MACHINE, told["end"], **at)
                add(parts.START, parts.MACHINE, told["start"], **at)
                if share is not None:
                    add(parts.EARLY, parts.GAINED, share, **at)
                    add(parts.EARLY, parts.OVER_END, told["over"], **at)


def test_rows_have_the_variances_they_say():
    random = np.random.default_rng(1)
    for n, d0 in ((12, 5), (4, 9)):
        X = parts.drawn_rows("whitened", n, d0, random)
        gram = X.T @ X if n > d0 else X @ X.T
        assert gram == pytest.approx(max(n, d0) * np.eye(min(n, d0)), abs=1e-12)
    variances = parts.drawn_rows("graded", 40_000, 4, random).var(axis=0)
    assert variances.mean() == pytest.approx(1, rel=0.03)
    assert variances[0] / variances == pytest.approx(np.arange(1, 5), rel=0.05)
    network = parts.drawn_network(40, 3, 50, random)
    assert [W.shape for W in network.weights] == [(50, 40), (50, 50), (1, 50)]
    assert network.weights[1].std() == pytest.approx(50**-0.5, rel=0.1)


def _measured(part, **setting):
    settings = {"depth": 2, "d0": 6, "width": 10} | setting
    return list(parts.linear_networks(np.random.default_rng(2), part=part, **settings))


def test_machines_are_regression_with_the_stored_kernel():
    """Predictions of the linear maps at other rows, with kernels of their own, for a network that
    is far from its start.
    """
    random = np.random.default_rng(3)
    X, Z, beta = random.standard_normal((4, 6)), random.standard_normal((3, 6)), np.ones(6)
    network = parts.drawn_network(6, 2, 10, random)
    flow = network.gradient_flow(X, X @ beta, time=1e4, until=1e-10)
    end = flow.at(flow.end)
    dual = np.linalg.solve(end.ntk(X), X @ beta)
    expected = end.ntk(Z, X) @ dual
    M = end.tangent_metric
    machine = M @ X.T @ np.linalg.solve(X @ M @ X.T, X @ beta)
    assert Z @ machine == pytest.approx(expected, rel=1e-8)
    some = _measured("machines", inputs="normal", n_samples=4)
    found = {(m.thing, m.at["scale"]): m.value for m in some}
    assert found[parts.END, 0.01] < 0.02 < found[parts.START, 0.01]
    assert found[parts.END, 0.01] < found[parts.END, 0.3]


def test_alignment_is_its_definition():
    """Y^T K y/(|K| |y|^2) of stored kernels, and the identity for classes that are equally large
    alone.
    """
    random = np.random.default_rng(4)
    X, y = random.standard_normal((10, 4)), np.repeat([-1, 1], 5)
    kernel = nc.NTK("erf")
    K = kernel(X)
    found, apart = parts.identity(X, y, kernel, nc.collapse(X, y, kernel, convention="papyan"))
    assert found == pytest.approx(y @ K @ y / (np.linalg.norm(K) * 10), rel=1e-12)
    assert apart < 1e-12
    uneven = np.repeat([-1, 1], (3, 7))
    result = nc.collapse(X, uneven, kernel, convention="papyan")
    assert parts.identity(X, uneven, kernel, result)[1] > 1e-3


def test_what_is_gained_follows_from_the_course():
    """The summary of a draw beside its points, 5 % among them."""
    found = _measured(
        "teachers", inputs="whitened", scales=(0.05,), n_samples=12, fallen=(0.0, 0.05)
    )
    course = {m.at["fallen"]: m.value for m in found if m.at and "fallen" in m.at}
    alone = {(m.thing, m.quantity): m.value for m in found if "fallen" not in (m.at or {})}
    last = alone[parts.END, parts.ALIGNMENT]
    gained = (course[0.05] - course[0.0]) / (last - course[0.0])
    assert alone[parts.EARLY, parts.GAINED] == pytest.approx(gained, rel=1e-12)
    assert alone[parts.LIMIT, parts.ALIGNMENT] == pytest.approx(2 / 3, rel=1e-12)
    assert alone[parts.END, parts.FINAL] == pytest.approx(last * 3 / 2, rel=1e-12)
    assert 0 < alone[parts.EARLY, parts.LIKENESS] <= 1
