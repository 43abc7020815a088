"""The study of silent alignment: its rows, its kernel machines against regression, its claims on
made rows and on a tiny preset.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests import measure_rows as made

import nc1fast as nc
from nc1fast.studies.library import silent_alignment as parts
from nc1fast.studies.loading import parse

TINY = """
name: silent-alignment
title: tiny
repeats: 2
parts:
  - {part: teachers, depth: [2, 3], inputs: [whitened, normal], scales: [0.1, 0.01], d0: 6,
     width: 10, n_samples: 12, fallen: [0, 0.5]}
  - {part: classes, inputs: [whitened, normal], scales: [0.1, 0.01], d0: 6, width: 10,
     n_samples: 12, fallen: [0, 0.5]}
  - {part: machines, inputs: [normal], scales: [0.01], d0: 6, width: 10, n_samples: 4}
  - {part: identity, activation: [relu], d0: [3], n_samples: 20}
  - {part: nc1, d0: [8], n_samples: 32, repeats: 1}
"""
GOOD = {
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


def _rows(n_repeats=6, **changed):
    """Rows of a study in which every claim holds, but for what is changed."""
    told, random, rows = GOOD | changed, np.random.default_rng(0), []
    for repeat in range(n_repeats):

        def add(thing, quantity, value, **setting):
            noisy = value * (1 + 1e-4 * random.standard_normal())
            rows.append(made.row(noisy, quantity, thing, repeat=repeat, **setting))  # noqa: B023

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
    return rows


def _verdicts(rows):
    return {claim.letter: claim.finding.verdict for claim in parts.STUDY.claims(rows)}


@pytest.mark.parametrize(
    ("letter", "changed"),
    [
        ("SA1", {"identity": 1e-9}),
        ("SA2", {"final": 1.05, "closed": 1e-3}),
        ("SA3", {"small": 0.9, "large": 0.7}),
        ("SA4", {"small": 0.4}),
        ("SA5", {"deep": -0.01}),
        ("SA6", {"graded": 0.9, "normal": 0.9}),
        ("SA7", {"graded": 1.1, "normal": 1.1}),
        ("SA8", {"like": 0.9, "unlike": 0.999}),
        ("SA9", {"end": 0.1, "start": 0.05}),
        ("SA10", {"collapsed": 0.5, "large": 1.4}),
        ("SA11", {"over": 1.1}),
    ],
)
def test_claims_hold_and_fail(letter, changed):
    assert set(_verdicts(_rows()).values()) == {"holds"}
    assert _verdicts(_rows(**changed))[letter] == "fails"
    assert _verdicts([])[letter] == "not comparable"
    few = _verdicts(_rows(3))[letter]
    assert few == ("holds" if letter == "SA1" else "too few")


def test_half_of_it_wrong_depends():
    assert _verdicts(_rows(large=0.7))["SA3"].startswith("depends")
    assert _verdicts(_rows(normal=1.1))["SA7"].startswith("depends")
    assert _verdicts(_rows(normal=1.2))["SA7"] == "undecided"


def test_tiny():
    """Every trial succeeds with finite numbers; what is exact holds even so; both figures are
    drawn.
    """
    rows = [row for trial in parse(TINY).cells() for row in trial.compute().rows]
    assert {row["status"] for row in rows} == {"ok"}
    assert all(math.isfinite(row["value"]) for row in rows)
    found = _verdicts(rows)
    assert found["SA1"] == "holds"
    assert [found[f"SA{k}"] for k in range(2, 12)] == ["too few"] * 10
    assert len({row["thing"] for row in rows if row["part"] == "nc1"}) == 4
    assert {d.name for d in parts.STUDY.draw(rows, [])} == {"alignment", "collapse"}


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
