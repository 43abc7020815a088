"""The metrics of other tool kits follow from ours by the relations of docs/metrics.md, and these
are needed.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests import tool_kits as kits
from tests.tool_kits import KITS, SHAPES, Problem, between, pinv_trace

import nc1fast as nc

pytestmark = pytest.mark.filterwarnings("ignore:class sizes range")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.__name__)
def test_other_tool_kits_agree_by_a_known_relation(kit, shape):
    for seed in range(2):
        found = kit(Problem.drawn(shape, seed))
        assert found
        for name, (theirs, ours) in found.items():
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(
    ("kit", "name", "ours"),
    [
        (kits.papyan, "Sw_invSb", lambda p: p.result.nc1_pinv),
        (kits.papyan, "norm_M_CoV", lambda p: p.result.nc2_equinorm),
        (kits.papyan, "W_M_dist", lambda p: p.result.nc3_self_duality),
        (kits.zhu, "collapse_metric", lambda p: p.result.nc1_pinv),
        (kits.zhu, "WH_relation_metric", lambda p: p.result.nc3_etf),
        (kits.zhou, "compute_ETF", lambda p: p.result.weights_etf),
        (kits.jiang, "GNC1", lambda p: p.result.under("probe").nc1_pinv),
        (kits.wu, "clf_ncc_agreement", lambda p: p.result.nc4_agreement),
        (kits.wu, "riesz_kernel", lambda p: p.result.gnc2_riesz),
        (kits.hauser, "nc1_cdnv", lambda p: p.result.cdnv),
        (kits.hauser, "nc2_equinormness", lambda p: p.result.under("probe").nc2_equinorm),
        (kits.hauser, "nc2_equiangularity", lambda p: p.result.under("probe").nc2_cosine_offset),
        (
            kits.hauser_regression,
            "nrc1_collapse",
            lambda p: nc.regression_collapse(p.H, np.sin(p.H[:, :2])).nrc1,
        ),
        (kits.rangamani, "Traces within", lambda p: p.result.under("probe").trace_within),
        (kits.markou, "H_equinorm_metric", lambda p: p.result.under("probe").nc2_equinorm),
        (kits.kothapalli, "kernel nc1", lambda p: p.result.under("probe").nc1),
    ],
)
def test_the_relation_is_needed(kit, name, ours):
    problem = Problem.drawn("unbalanced", 0)
    assert abs(ours(problem) / kit(problem)[name][0] - 1) > 1e-4


def test_cutoffs_of_the_pseudo_inverse():
    # Means that span a third direction by 1e-6 alone: an eigenvalue of 1e-12 of the first.
    rng, C, n = np.random.default_rng(0), 4, 30
    means = np.array([[2, 0, 0], [0, 1, 0], [-2, 0, 0], [0, -1, 0]])
    means = means + 1e-6 * rng.normal(size=(C, 3))
    y = np.repeat(np.arange(C), n)
    H = means[y] + rng.normal(size=(C * n, 3))
    H += (means - [H[y == c].mean(axis=0) for c in range(C)])[y]
    p = Problem(H, y, means, np.zeros(C), H)
    SB = between(p.mu - p.mu.mean(axis=0))
    values, v = np.linalg.eigh(SB)
    assert 1e-15 < values[0] / values[-1] < 1e-11
    ours = nc.collapse(H, y).nc1_pinv
    assert ours == pytest.approx(pinv_trace(p.within, SB, cutoff=1e-10) / C, rel=1e-9)
    rest = v[:, 0] @ p.within @ v[:, 0] / values[0] / C
    kept = pinv_trace(p.within, SB, cutoff=3 * np.finfo(float).eps) / C  # of scipy and torch, 3 x 3
    assert kept == pytest.approx(ours + rest, rel=1e-6)
    assert kept > 1e6 * ours


def test_kowalski_measures_against_the_total_covariance():
    p = Problem.drawn("unbalanced", 3)
    D, C = p.H - p.H.mean(axis=0), len(p.mu)
    theirs = pinv_trace(p.within, D.T @ D / C) / C
    total = p.within + sum(
        n * np.outer(z, z) for n, z in zip(p.n, p.mu - p.H.mean(axis=0), strict=True)
    ) / len(D)
    assert theirs == pytest.approx(np.trace(p.within @ np.linalg.inv(total)) / len(D), rel=1e-10)
    assert theirs < D.shape[1] / len(D)  # bounded, where NC1 is not


def test_differences_of_large_squares_lose_the_spread():
    # Galanti's |h|^2 - |mu|^2 has the digits of |h|^2: none of a spread of 1e-9 at a distance of
    # 10.
    rng, y = np.random.default_rng(0), np.repeat([0, 1], 50)
    H = np.where(y == 0, 10.0, -10.0)[:, None] + 1e-9 * rng.normal(size=(100, 3))
    spread = sum(((H[y == c] - H[y == c].mean(axis=0)) ** 2).sum(axis=1).mean() for c in (0, 1)) / 2
    exact = spread / 1200
    theirs, ours = kits.galanti(Problem(H, y, np.ones((2, 3)), np.zeros(2), H))["cdnv"]
    assert ours == pytest.approx(exact, rel=1e-6)
    assert abs(theirs / exact - 1) > 1
