"""The study of unrolled optimisation: its least objectives by their optimality conditions, a tiny
run, claims on rows that hold and fail.
"""

# ruff: noqa: RUF012  (the data of a study, which nothing changes)
from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests.atlas_studies import StudyChecks

import nc1fast as nc
from nc1fast import studies
from nc1fast.estimators.proximal_map import draw_proximal
from nc1fast.studies import measures
from nc1fast.studies.findings import rules
from nc1fast.studies.library import optimization_kernel as parts
from nc1fast.studies.quantities import measured

WIDE = 20_000


class TestStudy(StudyChecks):
    name = "optimization-kernel"
    tiny = """
  - {part: descents, d0: [4], m: [6, 20], n_samples: 5, steps: 30, shown: [1, 5, 30, 99]}
  - {part: limits, d0: [4], m: [16, 2048], n_samples: 16, steps: [1, 3]}
  - {part: nc1, d0: [2], n_samples: 24}
"""
    tiny_words = {"holds": {"OP1", "OP2"}, "not comparable": {"OP3", "OP4", "OP5", "OP7"}}
    things = {
        "ReLU NNGP",
        *(f"{name} codes, T = {T}" for name in ("ReLU", "sparse") for T in (1, 20)),
    }
    figures = ["descent", "nc1"]
    good = {
        "rise": 1e-16,
        "share": 0.2,
        "below": 1e-15,
        "one": 0.01,
        "more": 0.02,
        "moved": 1.001,
        "sparse": 1.3,
        "wide": 1.3,
        "distance": 0.04,
    }
    changes = [
        ("OP1", {"rise": 1e-11}, rules.FAILS),
        ("OP2", {"share": 1.1}, rules.DEPENDS),  # of the bound alone
        ("OP2", {"below": 1e-11}, rules.DEPENDS),
        ("OP2", {"share": 1.1, "below": 1e-11}, rules.FAILS),
        ("OP3", {"one": 0.03}, rules.FAILS),
        ("OP4", {"more": 0.04}, rules.FAILS),
        ("OP5", {"moved": 1.02}, rules.FAILS),
        ("OP5", {"moved": 0.98}, rules.FAILS),
        ("OP6", {"sparse": 0.9, "wide": 0.9}, rules.FAILS),
        ("OP6", {"sparse": 0.9}, rules.DEPENDS),
        ("OP7", {"distance": 0.08}, rules.FAILS),
    ]
    exact = {"OP1", "OP2"}
    alone = True
    noise = 1e-4

    def fill(self, add, told, repeat):
        for prox in ("relu", "soft"):
            at = {"part": "descents", "prox": prox, "d0": 16, "m": 24}
            for name in ("rise", "share", "below"):
                add(parts.CODES, getattr(parts, name.upper()), told[name], **at)
            add(parts.CODES, parts.GAP, 0.1, **at, T=1)
            at |= {"part": "limits", "m": WIDE}
            several, ratio = (
                (told["more"], told["moved"])
                if prox == "relu"
                else (told["distance"], told["sparse"])
            )
            for T, gram, moved in ((1, told["one"], 1.0), (5, several, ratio)):
                add(parts.CODES, parts.GRAM, gram, **at, T=T)
                add(parts.CODES, parts.MOVED, moved, **at, T=T)
                add(parts.CODES, "nc1", moved, **at, T=T)
        add(parts.WIDE, parts.MOVED, told["wide"], part="limits", prox="soft", d0=16, T=5)

    def test_a_tiny_run_is_close_to_its_limits(self, run):
        cells = measures.cells_of(run)
        shown = measured(parts.GAP, prox="soft")(cells)
        assert {cell.setting["T"] for cell in shown} <= {1, 5, 30}
        still = _draws(measured(parts.MOVED, parts.WIDE, prox="relu"), cells)
        np.testing.assert_allclose(still, 1, rtol=1e-12)  # a factor of a kernel
        narrow, wide = (_draws(measured(parts.GRAM, m=m), cells) for m in (16, 2048))
        assert max(wide) < np.median(narrow)


def _draws(quantity, cells):
    return [value for cell in quantity(cells) for value in cell.draws.values()]


def test_the_full_preset_has_repeats_enough_for_words():
    study = studies.parse(parts.STUDY.description("full"))
    assert all((part.repeats or study.repeats) >= rules.FEWEST for part in study.parts)
    assert {int(m) for part in study.parts for m in getattr(part, "m", ())} >= {WIDE}


@pytest.mark.parametrize("width", [6, 9, 60])
@pytest.mark.parametrize("prox", ["relu", "soft"])
def test_least_objectives_meet_the_conditions_of_optimality(prox, width):
    """With r = x - D y: D^T r in the subdifferential of R at y; and no step of the map moves y."""
    pytest.importorskip("scipy")
    net = draw_proximal(6, width, prox=prox, threshold=0.8, seed=width)
    X = np.random.default_rng(3).normal(size=(20, 6))
    best = np.array([parts.minimiser(x, net) for x in net.signals(X)])
    slopes = (net.signals(X) - best @ net.dictionary.T) @ net.dictionary
    used = best != 0
    assert used.any(axis=1).sum() >= 19
    if prox == "relu":
        assert (best >= 0).all()
        assert slopes.max() < 1e-12
        assert np.abs(slopes[used]).max() < 1e-12
    else:
        assert np.abs(slopes).max() < net.cut + 1e-12
        np.testing.assert_allclose(slopes[used], net.cut * np.sign(best[used]), atol=1e-12)


def test_descent_ends_at_the_least_objective():
    pytest.importorskip("scipy")
    X = np.random.default_rng(4).normal(size=(8, 6))
    for prox in ("relu", "soft"):
        net = draw_proximal(6, 9, prox=prox, seed=1)
        best = np.array([parts.minimiser(x, net) for x in net.signals(X)])
        (last,) = itertools.islice(net.iterates(X), 4000, 4001)
        np.testing.assert_allclose(net.objective(X, last), net.objective(X, best), atol=1e-9)


def test_limits_are_those_of_the_library():
    X = np.random.default_rng(5).normal(size=(9, 4))
    for prox, steps in (("relu", 4), ("soft", 1), ("soft", 3), ("hard", 2)):
        K = parts.limit(X, prox, 0.7, steps)
        H = nc.estimators.proximal_features(
            X, 40_000, steps=steps, prox=prox, threshold=0.7, seed=1
        )
        assert np.linalg.norm(H @ H.T - K) < 0.03 * np.linalg.norm(K)
