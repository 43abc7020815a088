"""The study of random features: its measures against primal ridge regression and dense algebra, its
claims on rows that hold and fail.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests import measure_rows as made

import nc1fast as nc
from nc1fast.studies.findings.measured import mean
from nc1fast.studies.library import random_features as parts
from nc1fast.studies.loading import parse
from nc1fast.studies.measures import cells_of
from nc1fast.studies.quantities import measured, power

TINY = """
name: random-features
title: tiny
repeats: 2
parts:
  - {part: features, data: [unit means], d0: [4], depth: [2], n_samples: 48, m: [64, 256, 8192],
     ridges: [0.1, 0.01]}
  - {part: nc1, d0: [8], n_samples: 32, repeats: 1}
"""


def _row(quantity, value, repeat=0, thing=parts.FEATURES, part="features", **setting):
    return made.row(value, quantity, thing, part=part, repeat=repeat, **setting)


def _rows(n_repeats=6, gram=0.05, nc1=0.02, power=-0.5, ridge=0.3, wrong=0.0, eps=-0.5):
    """Rows of a study whose errors at m = 8,192 and powers of m are these, with a little chance."""
    random, rows = np.random.default_rng(0), []
    for repeat in range(n_repeats):
        for sampling in ("stratified", "plain"):
            for m in (512, 2048, 8192):
                at = {"sampling": sampling, "m": m}
                by = [1 + 1e-3 * random.standard_normal() for _ in range(5)]
                fall = (m / 8192) ** power
                rows += [
                    _row(parts.FROBENIUS, gram * fall * by[0], repeat, **at),
                    _row(parts.NC1, nc1 * fall * by[1], repeat, **at),
                    _row(parts.PREDICTIONS, ridge * fall * by[2], repeat, **at, ridge=0.1),
                    _row(parts.SPECTRAL, (m / 8192) ** eps * by[3], repeat, **at, ridge=0.1),
                    _row(parts.SQUARES, 1.1 * by[4], repeat, **at, ridge=0.1),
                    _row(parts.EXCESS, wrong * by[4], repeat, **at, ridge=0.1),
                ]
    return rows


def _verdicts(rows):
    return {claim.letter: claim.finding.verdict for claim in parts.STUDY.claims(rows)}


def test_tiny():
    """Every trial succeeds, every number is finite, and every claim has a sentence."""
    trials = parse(TINY).cells()
    rows = [row for trial in trials for row in trial.compute().rows]
    assert {row["status"] for row in rows} == {"ok"}
    assert all(math.isfinite(row["value"]) for row in rows)
    things = {row["thing"] for row in rows if row["part"] == "nc1"}
    assert things == {"ReLU NTK, depth 3", "2,048 features of it"}
    close = measured(parts.FROBENIUS, m=8192)(cells_of(rows))
    assert max(value for cell in close for value in cell.draws.values()) < 0.05
    found = parts.STUDY.claims(rows)
    assert [claim.letter for claim in found] == ["RF1", "RF2", "RF3", "RF4", "RF5", "RF6"]
    assert {claim.finding.verdict for claim in found[:1]} == {"too few"}
    assert {d.name for d in parts.STUDY.draw(rows, [])} == {"errors", "spectral"}


@pytest.mark.parametrize(
    ("changed", "letter"),
    [
        ({"gram": 0.07}, "RF1"),
        ({"power": -0.3}, "RF2"),
        ({"nc1": 0.04}, "RF3"),
        ({"eps": 0.1}, "RF4"),
        ({"ridge": 0.05}, "RF5"),
        ({"wrong": 0.02}, "RF6"),
    ],
)
def test_claims_hold_and_fail(changed, letter):
    good, bad = _verdicts(_rows()), _verdicts(_rows(**changed))
    assert set(good.values()) == {"holds"}
    assert bad[letter] == "fails"
    assert _verdicts(_rows(3))[letter] == "too few"
    assert _verdicts([])[letter] == "not comparable"


def test_predictions_are_those_of_primal_regression():
    """With features H: (H^T H + ridge I)^-1 H^T Y, and as `nc1fast.prediction.ridge` with the
    linear kernel has it.
    """
    random = np.random.default_rng(1)
    H, y = random.standard_normal((24, 5)), np.repeat(np.arange(3), 8)
    halves = parts.halved(y, random)
    fitted, others = halves
    assert sorted([*fitted, *others]) == list(range(24))
    assert [np.bincount(y[rows]).tolist() for rows in halves] == [[4] * 3] * 2
    F, Z, Y = H[fitted], H[others], parts.targets(y)[fitted]
    found = parts.predictions(H @ H.T, y, halves, 0.3)
    primal = Z @ np.linalg.solve(F.T @ F + 0.3 * np.eye(5), F.T @ Y)
    np.testing.assert_allclose(found, primal, rtol=0, atol=1e-12)
    room = nc.prediction.ridge(nc.Linear(5.0), F, Y, Z, ridge=0.3).mean
    np.testing.assert_allclose(found, room, rtol=0, atol=1e-12)
    np.testing.assert_allclose(Y.sum(axis=1), 0, atol=1e-15)


def test_spectral_error_is_the_least_eps():
    """Both differences are positive semidefinite at that eps and not at a smaller one."""
    random = np.random.default_rng(2)
    A, B = random.standard_normal((2, 9, 12))
    K, G, I = A @ A.T, A @ A.T + 0.2 * B @ B.T, 0.5 * np.eye(9)
    eps = parts.spectral_error(K, G, 0.5)

    def least(e):
        return min(
            np.linalg.eigvalsh((1 + e) * (K + I) - G - I)[0],
            np.linalg.eigvalsh(G + I - (1 - e) * (K + I))[0],
        )

    assert least(eps + 1e-9) > -1e-9
    assert least(eps - 1e-3) < -1e-5
    assert parts.spectral_error(K, K, 0.5) < 1e-12


def test_data():
    """D2 stands on its line; unit means have length 1 up to the noise of their rows."""
    random = np.random.default_rng(3)
    X, y = parts.drawn("D2", 400, 8, random)
    np.testing.assert_allclose([X[y == c].mean() for c in range(4)], [-6, -2, 2, 6], atol=0.1)
    X, y = parts.drawn("unit means", 4000, 8, random)
    lengths = [np.linalg.norm(X[y == c].mean(axis=0)) for c in range(4)]
    np.testing.assert_allclose(lengths, 1, atol=0.1)
    assert np.mean([X[y == c].var(axis=0).sum() for c in range(4)]) == pytest.approx(1, rel=0.05)


def test_powers():
    rows = [_row("e", 3 * m**-0.5, repeat, m=m, a=1) for repeat in (0, 1) for m in (4, 16, 64)]
    rows.append(_row("e", 1.0, a=1))
    assert power({m: 3 * m**-0.5 for m in (4, 16, 64)}) == pytest.approx(-0.5, abs=1e-12)
    fitted = measured("e").power("m")
    (one,) = fitted(cells_of(rows))
    assert (one.thing, one.quantity, one.setting) == (parts.FEATURES, "e", {"a": 1})
    assert one.draws == pytest.approx({0: -0.5, 1: -0.5}, abs=1e-12)
    many = [{**row, "repeat": r} for row in rows[:3] for r in range(6)]
    for some, low, high, word in (
        (rows, -0.6, -0.4, "too few"),
        (many, -0.6, -0.4, "holds"),
        (many, -0.4, 0, "fails"),
    ):
        test = mean("", fitted, low, high)
        assert [found.word for found in test.judge(test.of(cells_of(some)))] == [word]
