"""The study of sparse activation: its kernel by Monte Carlo, a tiny run, and each claim on rows
that make it hold and fail.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests import measure_rows as made

import nc1fast as nc
from nc1fast import studies
from nc1fast.studies import runner
from nc1fast.studies.findings import rules
from nc1fast.studies.library import sparse_bias as parts

TINY = """
name: sparse-bias
title: Tiny
repeats: 2
parts:
  - {part: spectra, d: [4], n_samples: 12, biases: [0, 1]}
  - {part: widths, bias: [0, 1], d: 3, n_samples: 4, width: 500}
  - {part: descents, bias: [1], d: 4, n_samples: 8, width: 256, steps: 20}
  - {part: collapses, d: [4], n_samples: 40, biases: [0, 1]}
  - {part: nc1, d0: [2], n_samples: 24}
"""


@pytest.fixture(scope="module")
def rows():
    pytest.importorskip("torch")
    return [row for cell in studies.parse(TINY).cells() for row in runner.compute(cell).rows]


def _verdicts(rows):
    return {one.letter: one.finding.verdict for one in parts.STUDY.claims(rows)}


def _row(thing, quantity, value, setting="bias=1", part="spectra", **columns):
    return made.row(value, quantity, thing, part=part, at=setting) | columns


# --- kernel and network


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


# --- the study


def test_a_tiny_run_has_every_row_and_its_exact_claims(rows):
    assert {row["status"] for row in rows} == {"ok"}
    found = _verdicts(rows)
    assert {found[name] for name in ("SB1", "SB2", "SB4", "SB9")} == {rules.HOLDS}
    assert {found[name] for name in ("SB3", "SB6", "SB7", "SB8")} == {rules.TOO_FEW}
    assert found["SB5"] == rules.UNDEFINED  # no rows in 16 dimensions
    things = {row["thing"] for row in rows if row["part"] == "nc1"}
    assert {"H, B = 0", "H, B = 2", "network, B = 1, start", "network, B = 1, end"} <= things


def test_figures_of_a_tiny_run(rows):
    pytest.importorskip("matplotlib")
    assert [one.name for one in parts.STUDY.draw(rows, [])] == ["spectrum", "nc1"]


def test_without_rows_nothing_is_claimed():
    assert set(_verdicts([]).values()) == {rules.UNDEFINED}


def test_the_full_preset_has_repeats_enough_for_words():
    study = studies.parse(parts.STUDY.description("full"))
    assert all((part.repeats or study.repeats) >= rules.FEWEST for part in study.parts)


@pytest.mark.parametrize(("value", "word"), [(1e-13, rules.HOLDS), (1e-9, rules.FAILS)])
@pytest.mark.parametrize(
    ("letter", "quantity"), [("SB1", parts.FROM_OWEN), ("SB2", parts.FROM_RELU)]
)
def test_exact_claims(letter, quantity, value, word):
    assert _verdicts([_row("H", quantity, value)])[letter] == word


JUDGED_IN_MEAN = {  # claim: (thing, quantity, setting, a value that holds, one that fails)
    "SB3": ("network", parts.DEVIATION, "bias=1", 0.005, 0.02),
    "SB5": ("H", parts.SMALLEST, "d=16, bias=1", 0.089, 0.05),
    "SB6": (parts.START, parts.SHARE, "bias=1", 0.1587, 0.2),
    "SB7": (parts.TRAINED, parts.SHARE, "bias=1", 0.2, 0.7),
    "SB8": (parts.TRAINED, parts.LOSS, "bias=1", 0.3, 2.0),
}


@pytest.mark.parametrize("letter", JUDGED_IN_MEAN)
def test_claims_on_means(letter):
    thing, quantity, setting, good, bad = JUDGED_IN_MEAN[letter]
    for value, word in ((good, rules.HOLDS), (bad, rules.FAILS)):
        found = [
            _row(thing, quantity, value * (1 + jitter), setting, repeat=k)
            for k, jitter in enumerate(np.linspace(-0.01, 0.01, 7))
        ]
        assert _verdicts(found)[letter] == word
        assert _verdicts(found[:5])[letter] == rules.TOO_FEW


@pytest.mark.parametrize(
    ("smallest", "condition", "word"),
    [
        ([0.3, 0.2], [9.0, 5.0], rules.HOLDS),
        ([0.2, 0.3], [9.0, 5.0], rules.DEPENDS),
        ([-0.2, -0.1], [5.0, 9.0], rules.FAILS),
    ],
)
def test_the_spectrum_along_the_bias(smallest, condition, word):
    found = [
        _row("H", quantity, value, f"d=4, bias={bias}")
        for quantity, curve in ((parts.SMALLEST, smallest), (parts.CONDITION, condition))
        for bias, value in enumerate(curve)
    ]
    assert _verdicts(found)["SB4"] == word


@pytest.mark.parametrize(
    ("curve", "word"),
    [([1.0, 2.0], rules.HOLDS), ([2.0, 1.0], rules.FAILS), ([1.0, 2.0, 1.5], rules.DEPENDS)],
)
def test_nc1_along_the_bias(curve, word):
    found = [
        _row("H", "nc1", value, f"d=4, bias={bias}", "collapses", error=1e-9)
        for bias, value in enumerate(curve)
    ]
    assert _verdicts(found)["SB9"] == word
