"""The study of sparse activation: its kernel by Monte Carlo, a tiny run, and each claim on rows
that make it hold and fail.
"""

# ruff: noqa: RUF012  (the data of a study, which nothing changes)
from __future__ import annotations

import math

import numpy as np
import pytest
from tests.atlas_studies import StudyChecks

import nc1fast as nc
from nc1fast import studies
from nc1fast.studies.findings import rules
from nc1fast.studies.library import sparse_bias as parts


class TestStudy(StudyChecks):
    name = "sparse-bias"
    tiny = """
  - {part: spectra, d: [4], n_samples: 12, biases: [0, 1]}
  - {part: widths, bias: [0, 1], d: 3, n_samples: 4, width: 500}
  - {part: descents, bias: [1], d: 4, n_samples: 8, width: 256, steps: 20}
  - {part: collapses, d: [4], n_samples: 40, biases: [0, 1]}
  - {part: nc1, d0: [2], n_samples: 24}
"""
    # SB5: no rows in 16 dimensions
    tiny_words = {"holds": {"SB1", "SB2", "SB4", "SB9"}, "not comparable": {"SB5"}}
    things = {*(f"H, B = {B}" for B in (0, 1, 2)), "network, B = 1, start", "network, B = 1, end"}
    figures = ["spectrum", "nc1"]
    good = {
        "owen": 1e-13,
        "relu": 1e-13,
        "deviation": 0.005,
        "smallest": (0.3, 0.2),
        "condition": (9.0, 5.0),
        "known": 0.089,
        "start": 0.1587,
        "trained": 0.2,
        "loss": 0.3,
        "nc1": (1.0, 2.0),
    }
    changes = [
        ("SB1", {"owen": 1e-9}, rules.FAILS),
        ("SB2", {"relu": 1e-9}, rules.FAILS),
        ("SB3", {"deviation": 0.02}, rules.FAILS),
        ("SB4", {"smallest": (0.2, 0.3)}, rules.DEPENDS),
        ("SB4", {"smallest": (-0.2, -0.1), "known": -0.1, "condition": (5.0, 9.0)}, rules.FAILS),
        ("SB5", {"known": 0.05}, rules.FAILS),
        ("SB6", {"start": 0.2}, rules.FAILS),
        ("SB7", {"trained": 0.7}, rules.FAILS),
        ("SB8", {"loss": 2.0}, rules.FAILS),
        ("SB9", {"nc1": (2.0, 1.0)}, rules.FAILS),
        ("SB9", {"nc1": (1.0, 2.0, 1.5)}, rules.DEPENDS),
    ]
    exact = {"SB1", "SB2", "SB4", "SB9"}

    def fill(self, add, told, repeat):
        add("H", parts.FROM_OWEN, told["owen"], bias=1)
        add("H", parts.FROM_RELU, told["relu"], bias=1)
        add("network", parts.DEVIATION, told["deviation"], bias=1)
        for quantity, curve in (
            (parts.SMALLEST, told["smallest"]),
            (parts.CONDITION, told["condition"]),
        ):
            for bias, value in enumerate(curve):
                add("H", quantity, value, d=4, bias=bias)
        add("H", parts.SMALLEST, told["known"], d=16, bias=1)
        add(parts.START, parts.SHARE, told["start"], bias=1)
        add(parts.TRAINED, parts.SHARE, told["trained"], bias=1)
        add(parts.TRAINED, parts.LOSS, told["loss"], bias=1)
        for bias, value in enumerate(told["nc1"]):
            add("H", "nc1", value, part="collapses", error=1e-9, d=4, bias=bias)


@pytest.mark.parametrize("bias", [0.0, 0.7, 1.5])
def test_the_kernel_is_an_orthant_probability(bias):
    """Rows of any length, against the share of half a million weights that are above the bias at
    both rows.
    """
    random = np.random.default_rng(1)
    X = random.normal(size=(4, 3))
    above = (random.normal(size=(500_000, 3)) @ X.T >= bias).astype(np.float32)
    shares = above.T @ above / len(above)
    expected = (X @ X.T + 1) * shares
    errors = np.abs(X @ X.T + 1) * np.sqrt(shares * (1 - shares) / len(above))
    assert (
        np.abs(parts.limit(nc.ShiftedReLU(bias), 3)(X) - expected) <= 4.5 * errors + 1e-12
    ).all()


@pytest.mark.parametrize("bias", [0.0, 0.5, 1.0, 2.0])
def test_unit_rows_by_quadrature(bias):
    """P = Q(B)^2 + (1/2 pi) int_0^{asin r} exp(-B^2/(1 + sin u)) du, by 60 Gauss-Legendre points;
    and by Owen's function.
    """
    pytest.importorskip("scipy")
    X = parts.unit_rows(np.random.default_rng(2), 9, 4)
    X[1] = -X[0]  # opposite rows
    r = np.clip(X @ X.T, -1, 1)
    np.fill_diagonal(r, 1)
    points, weights = np.polynomial.legendre.leggauss(60)
    top = np.arcsin(r)[..., None]
    u = top * (points + 1) / 2
    with np.errstate(divide="ignore"):
        inner = np.exp(-(bias**2) / (1 + np.sin(u)))
    tail = math.erfc(bias / math.sqrt(2)) / 2
    P = tail**2 + (inner * weights).sum(-1) * top[..., 0] / 2 / (2 * math.pi)
    H = parts.limit(nc.ShiftedReLU(bias), 4)(X)
    assert np.abs(H - (r + 1) * P).max() <= 1e-10
    assert np.abs(H - parts.by_owen(X, bias)).max() <= 1e-12


def test_without_a_bias_it_is_the_relu_kernel():
    X = np.random.default_rng(3).normal(size=(10, 5))
    cosines = X @ X.T / np.outer(*2 * [np.linalg.norm(X, axis=1)])
    expected = (X @ X.T + 1) * (np.pi - np.arccos(np.clip(cosines, -1, 1))) / (2 * np.pi)
    assert parts.limit(nc.ShiftedReLU(0.0), 5)(X) == pytest.approx(
        expected, rel=1e-7, abs=1e-7
    )  # arccos near 1
    assert pytest.approx(parts.limit(nc.ShiftedReLU(0.0), 5)(X), rel=1e-12, abs=1e-14) == nc.NTK(
        "relu", weight_variance=(5.0, 1.0), parametrization="standard", width=1, train_readout=False
    )(X)


def test_the_network_trains_all_but_its_readout():
    torch = pytest.importorskip("torch")
    drawn = parts.network(1.0, 3, 40, seed=0)
    X = np.random.default_rng(4).normal(size=(5, 3))
    W = drawn.pre1.weight.detach().numpy()
    above = (X @ W.T >= 1.0).astype(float)
    expected = (X @ X.T + 1) * (above @ above.T) / 40
    assert nc.networks.empirical_ntk(drawn, X) == pytest.approx(expected, rel=1e-12)
    assert drawn.ntk()(X) == pytest.approx(parts.limit(nc.ShiftedReLU(1.0), 3)(X), rel=1e-12)
    before = {name: p.detach().clone() for name, p in drawn.named_parameters()}
    losses = list(
        parts.descend(drawn, torch.from_numpy(X), torch.ones(5, 1, dtype=torch.float64), 0.1, 5)
    )
    assert losses == sorted(losses, reverse=True)
    moved = {name for name, p in drawn.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"pre1.weight", "pre1.bias"}


def test_the_full_preset_has_repeats_enough_for_words():
    study = studies.parse(parts.STUDY.description("full"))
    assert all((part.repeats or study.repeats) >= rules.FEWEST for part in study.parts)
