"""The study of random features: its measures against primal ridge regression and dense algebra, its
claims on rows that hold and fail.
"""

# ruff: noqa: RUF012  (the data of a study, which nothing changes)
from __future__ import annotations

import numpy as np
import pytest
from tests import measure_rows as made
from tests.atlas_studies import StudyChecks

import nc1fast as nc
from nc1fast.studies.findings.measured import mean
from nc1fast.studies.library import random_features as parts
from nc1fast.studies.measures import cells_of
from nc1fast.studies.quantities import measured, power


class TestStudy(StudyChecks):
    name = "random-features"
    tiny = """
  - {part: features, data: [unit means], d0: [4], depth: [2], n_samples: 48, m: [64, 256, 8192],
     ridges: [0.1, 0.01]}
  - {part: nc1, d0: [8], n_samples: 32, repeats: 1}
"""
    things = {"ReLU NTK, depth 3", "2,048 features of it"}
    figures = ["errors", "spectral"]
    # errors at m = 8,192, and powers of m
    good = {"gram": 0.05, "nc1": 0.02, "power": -0.5, "ridge": 0.3, "wrong": 0.0, "eps": -0.5}
    changes = [
        ("RF1", {"gram": 0.07}, "fails"),
        ("RF2", {"power": -0.3}, "fails"),
        ("RF3", {"nc1": 0.04}, "fails"),
        ("RF4", {"eps": 0.1}, "fails"),
        ("RF5", {"ridge": 0.05}, "fails"),
        ("RF6", {"wrong": 0.02}, "fails"),
    ]

    def fill(self, add, told, repeat):
        for sampling in ("stratified", "plain"):
            for m in (512, 2048, 8192):
                at = {"part": "features", "sampling": sampling, "m": m}
                fall = (m / 8192) ** told["power"]
                for quantity, value in (
                    (parts.FROBENIUS, told["gram"] * fall),
                    (parts.NC1, told["nc1"] * fall),
                ):
                    add(parts.FEATURES, quantity, value, **at)
                for quantity, value in (
                    (parts.PREDICTIONS, told["ridge"] * fall),
                    (parts.SPECTRAL, (m / 8192) ** told["eps"]),
                    (parts.SQUARES, 1.1),
                    (parts.EXCESS, told["wrong"]),
                ):
                    add(parts.FEATURES, quantity, value, **at, ridge=0.1)

    def test_a_tiny_run_is_close_to_the_kernel(self, run):
        close = measured(parts.FROBENIUS, m=8192)(cells_of(run))
        assert max(value for cell in close for value in cell.draws.values()) < 0.05


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
    rows = [
        made.row(3 * m**-0.5, "e", repeat=repeat, m=m, a=1)
        for repeat in (0, 1)
        for m in (4, 16, 64)
    ]
    rows.append(made.row(1.0, "e", a=1))
    assert power({m: 3 * m**-0.5 for m in (4, 16, 64)}) == pytest.approx(-0.5, abs=1e-12)
    fitted = measured("e").power("m")
    (one,) = fitted(cells_of(rows))
    assert (one.thing, one.quantity, one.setting) == ("t", "e", {"a": 1})
    assert one.draws == pytest.approx({0: -0.5, 1: -0.5}, abs=1e-12)
    many = [{**row, "repeat": r} for row in rows[:3] for r in range(6)]
    for some, low, high, word in (
        (rows, -0.6, -0.4, "too few"),
        (many, -0.6, -0.4, "holds"),
        (many, -0.4, 0, "fails"),
    ):
        test = mean("", fitted, low, high)
        assert [found.word for found in test.judge(test.of(cells_of(some)))] == [word]
