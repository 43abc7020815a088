"""The metrics against dense formulas of explicit features, those of the reference and, written here
from their papers, the others.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import reference
from nc1fast.metrics import METRICS
from nc1fast.metrics.definitions import CONVENTIONS

CASES = {  # class sizes, features
    "balanced": ((30, 30, 30, 30), 9),
    "unbalanced": ((4, 40, 11, 25, 60), 12),
    "more classes than features": ((12, 9, 30, 8, 14, 21, 10), 3),
    "more features than rows": ((5, 6, 7), 40),
    "a class of one row": ((1, 20, 9), 6),
}
pytestmark = pytest.mark.filterwarnings("ignore:class sizes range")


def _features(case, seed=0):
    sizes, d = CASES[case]
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    means = 1.5 * rng.normal(size=(len(sizes), d)) + 0.3
    W, b = rng.normal(size=(len(sizes), d)), rng.normal(size=len(sizes))
    return rng.normal(size=(len(y), d)) + means[y], y, W, b


def _angle(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def _dense(H, y, W, b, convention):
    """Every further metric from d x d covariances and loops over classes."""
    C, N = len(W), len(H)
    n = np.bincount(y)
    wW, wB, g = ({"p": n / N, "u": np.full(C, 1 / C)}[k] for k in CONVENTIONS[convention])
    mu = np.array([H[y == c].mean(axis=0) for c in range(C)])
    center = g @ mu
    Z = mu - center
    SW = sum(wW[c] / n[c] * (H[y == c] - mu[c]).T @ (H[y == c] - mu[c]) for c in range(C))
    SB = sum(wB[c] * np.outer(Z[c], Z[c]) for c in range(C))
    values, vectors = np.linalg.eigh(SB)
    kept = values > 1e-10 * values[-1]
    span = vectors[:, kept]
    within = np.linalg.eigvalsh(span.T @ SW @ span)
    first = np.argsort(values)[::-1][: min(C - 1, kept.sum())]
    truncated = sum(vectors[:, k] @ SW @ vectors[:, k] / values[k] for k in first) / C
    V = [((H[y == c] - mu[c]) ** 2).sum(axis=1).mean() for c in range(C)]
    pairs = list(itertools.combinations(range(C), 2))
    cos = [_angle(Z[a], Z[c]) for a, c in pairs]
    units = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    gaps = [np.linalg.norm(units[a] - units[c]) for a, c in pairs]
    simplex = (np.eye(C) - 1 / C) / math.sqrt(C - 1)
    WZ, WW = W @ Z.T, W @ W.T
    duals = [_angle(W[c], Z[c]) for c in range(C)]
    nearest = ((H[:, None] - mu) ** 2).sum(axis=2).argmin(axis=1)
    lengths = np.linalg.norm(W, axis=1)
    P = [A.T @ np.linalg.pinv(A.T, rcond=1e-10) for A in (W - W.mean(axis=0), Z)]  # projections
    common = min(np.linalg.matrix_rank(A, tol=1e-8) for A in P)
    sines = np.sort(np.linalg.svd(P[0] @ P[1], compute_uv=False))[::-1][:common]

    def entropy_rank(eigenvalues):
        p = eigenvalues[eigenvalues > 1e-14 * eigenvalues.max()]
        p = p / p.sum()
        return np.prod(p**-p)

    between = values[kept]
    out = {
        "nc1_truncated": truncated,
        "nc2_cosine_offset": np.mean([abs(t + 1 / (C - 1)) for t in cos]),
        "nc2_orthogonal": np.linalg.norm(
            mu @ mu.T / np.linalg.norm(mu @ mu.T) - np.eye(C) / C**0.5
        ),
        "gnc2_log": np.mean([-math.log(t) for t in gaps]),
        "gnc2_riesz": np.mean([1 / t for t in gaps]),
        "between_effective_rank": entropy_rank(between),
        "between_stable_rank": between.sum() / between.max(),
        "within_effective_rank": entropy_rank(within),
        "within_stable_rank": within.sum() / within.max(),
        "within_rank": (within > 1e-10 * within.max()).sum(),
        "nc3_self_duality": np.linalg.norm(W / np.linalg.norm(W) - Z / np.linalg.norm(Z)),
        "nc3_etf": np.linalg.norm(WZ / np.linalg.norm(WZ) - simplex),
        "nc3_uniform": np.std(duals),
        "nc4_agreement": np.mean((H @ W.T + b).argmax(axis=1) == nearest),
        "weights_equinorm": lengths.std() / lengths.mean(),
        "weights_cosine_offset": np.mean([abs(_angle(W[a], W[c]) + 1 / (C - 1)) for a, c in pairs]),
        "weights_equiangle": np.std([_angle(W[a], W[c]) for a, c in pairs]),
        "weights_etf": np.linalg.norm(WW / np.linalg.norm(WW) - simplex),
        "classifier_angle": math.acos(min(sines[-1], 1.0)),
        "bias_collapse": np.linalg.norm(b + W @ center),
        "nc2_norms": np.linalg.norm(Z, axis=1),
        "nc2_cosines": units @ units.T,
        "cdnv_by_pair": [
            [(V[a] + V[c]) / 2 / ((mu[a] - mu[c]) ** 2).sum() if a != c else 0 for c in range(C)]
            for a in range(C)
        ],
        "nc3_cosines": duals,
        "classifier_angles": np.arccos(np.minimum(sines, 1)),
    }
    if convention != "released":
        out["nc1_total"] = np.trace(SW) / (np.trace(SW) + np.trace(SB))
    return out


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("case", CASES)
def test_metrics_equal_dense_formulas(case, convention):
    H, y, W, b = _features(case)
    result = nc.collapse(H, y, convention=convention).with_classifier(W, b, H=H)
    assert result.missing == {}
    expected = reference.collapse_features(H, y, convention) | _dense(H, y, W, b, convention)
    assert set(METRICS) - set(expected) <= {"nc1_total"}
    assert expected.pop("convention") == result.convention
    for name, value in expected.items():
        tolerance = 1e-12 if name not in METRICS or METRICS[name].traced else 1e-9
        if name == "nc1_pinv" or name.startswith("classifier_angle"):
            tolerance = 1e-7
        np.testing.assert_allclose(
            getattr(result, name), value, rtol=tolerance, atol=tolerance, err_msg=name
        )


def _simplex(C, d, scale=2.0):
    """Vertices of a simplex equiangular tight frame (C, d) in a random orientation."""
    Q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(d, d)))
    return scale * (np.eye(C) - 1 / C) @ Q[:C]


def test_values_under_exact_collapse():
    C, d = 5, 8
    Z, y = _simplex(C, d), np.repeat(np.arange(C), 6)
    center = np.full(d, 0.25)
    H = (Z + center)[y]
    W = 3 * Z
    result = nc.collapse(H, y).with_classifier(W, -W @ center, H=H)
    zero = (
        *("nc1_total", "nc1_truncated", "nc2_cosine_offset", "nc3_self_duality", "nc3_etf"),
        *("nc3_uniform", "weights_equinorm", "weights_equiangle", "weights_etf"),
        *("weights_cosine_offset", "classifier_angle", "bias_collapse"),
    )
    for name in zero:
        assert abs(getattr(result, name)) < 1e-13, name
    assert result.gnc2_log == pytest.approx(-math.log(2 * C / (C - 1)) / 2)
    assert result.gnc2_riesz == pytest.approx(math.sqrt((C - 1) / (2 * C)))
    assert result.between_effective_rank == pytest.approx(C - 1)
    assert result.between_stable_rank == pytest.approx(C - 1)
    assert result.within_rank == result.within_effective_rank == result.within_stable_rank == 0
    assert result.nc4_agreement == 1
    np.testing.assert_allclose(result.nc3_cosines, 1)
    assert (np.abs(result.cdnv_by_pair) < 1e-13).all()
    orthogonal = nc.collapse(2 * np.eye(C)[y], y)
    assert orthogonal.nc2_orthogonal < 1e-15


@pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")
def test_values_without_collapse():
    H = np.array([[1.0, 0], [3, 0], [2, 1], [2, -1]])  # both means are (2, 0)
    result = nc.collapse(H, [0, 0, 1, 1])
    assert result.nc1_total == 1
    assert result.nc1_truncated == math.inf
    assert result.between_effective_rank == result.between_stable_rank == 0
    assert result.nc2_orthogonal == pytest.approx(math.sqrt(2 - math.sqrt(2)))
    assert result.cdnv_by_pair[0, 1] == math.inf
    on_a_line = np.array([[1.0, 0], [2, 0], [-3, 0]]).repeat(2, axis=0)
    result = nc.collapse(on_a_line, [0, 0, 1, 1, 2, 2])
    assert result.gnc2_log == result.gnc2_riesz == math.inf  # two directions coincide
    rng = np.random.default_rng(0)
    result = nc.collapse(rng.normal(size=(4000, 400)), np.repeat(np.arange(4), 1000))
    result = result.with_classifier(rng.normal(size=(4, 400)))
    assert result.nc1_total > 0.99
    assert result.nc3_self_duality == pytest.approx(math.sqrt(2), abs=0.1)


def test_a_small_angle_keeps_its_digits():
    Z = np.eye(3, 5)
    turned = Z.copy()
    turned[:, 4] = 1e-9 * np.array([1, -1, 0])
    result = nc.collapse(Z.repeat(2, axis=0), np.arange(3).repeat(2)).with_classifier(turned)
    # the direction (1, -1, 0)/sqrt(2) is turned by 1e-9 * 2/sqrt(2) along the last axis
    assert result.classifier_angle == pytest.approx(math.sqrt(2) * 1e-9, rel=1e-6)


def test_kernels_have_what_class_sums_determine():
    H, y, _, _ = _features("unbalanced")
    features, kernel = nc.collapse(H, y), nc.collapse(H @ H.T, y, "precomputed")
    for name, metric in METRICS.items():
        if metric.needs in ("sums", "rows"):
            np.testing.assert_allclose(
                getattr(kernel, name), getattr(features, name), rtol=1e-8, atol=1e-10, err_msg=name
            )
    needed = {name for name, metric in METRICS.items() if "c" in metric.needs}
    assert set(kernel.missing) == needed
    assert "with_classifier" in kernel.missing["nc3_etf"]


def test_what_is_missing_has_a_reason():
    H, y, W, _ = _features("balanced")
    parts = [nc.FeatureSums(scatter=False) for _ in range(3)]
    for k, part in enumerate(parts):
        part.update(H[k::3], y[k::3])
    result = sum(parts).collapse()
    assert result.nc1 == pytest.approx(nc.collapse(H, y).nc1, rel=1e-12)
    for found in (result, nc.collapse(H, y, statistics="sums")):
        for name in METRICS:
            assert (getattr(found, name) is None) == (name in found.missing)
        assert found.nc1_pinv is found.nearest_center is found.ncc_accuracy is None
        assert found.between_rank == len(W) - 1
        assert found.under("class").nc1_pinv is None
    assert "row-class sums" in result.missing["nc1_truncated"]
    assert "once" in result.missing["ncc_accuracy"]
    with_weights = result.with_classifier(W)
    assert "nc3_etf" not in with_weights.missing
    assert "H=H" in with_weights.missing["nc4_agreement"]


def test_another_convention_keeps_the_classifier():
    H, y, W, b = _features("unbalanced")
    there = nc.collapse(H, y, convention="papyan").with_classifier(W, b, H=H).under("sample")
    direct = nc.collapse(H, y, convention="sample").with_classifier(W, b, H=H)
    for name in METRICS:
        np.testing.assert_array_equal(getattr(there, name), getattr(direct, name))


def test_class_means_come_back_from_a_file(tmp_path):
    H, y, _, _ = _features("balanced")
    sums = nc.class_sums(H, y)
    sums.save(tmp_path / "sums.npz")
    np.testing.assert_array_equal(nc.ClassSums.load(tmp_path / "sums.npz").means, sums.means)


def test_columns_of_tables_are_those_of_before_and_then_the_others():
    H, y, W, b = _features("balanced")
    table = nc.to_table([nc.collapse(H, y), nc.collapse(H, y).with_classifier(W, b)])
    names = list(table)
    assert names[names.index("method") + 1 :] == [
        name for name, metric in METRICS.items() if metric.column and not metric.traced
    ]
    assert np.isnan(table["nc3_etf"]).tolist() == [True, False]


H, Y, W, B = _features("balanced")
KERNEL = nc.collapse(H, Y, nc.NNGP("relu"))
FEATURES = nc.collapse(H, Y)
SUMS = nc.collapse(H, Y, statistics="sums")
NAN = np.full_like(W, np.nan)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: KERNEL.with_classifier(W, B), ValueError, "explicit features"),
        (lambda: FEATURES.with_classifier(W.T, B), ValueError, "transpose"),
        (lambda: FEATURES.with_classifier(W[:-1], B), ValueError, "W must have shape"),
        (lambda: FEATURES.with_classifier(W[0], B), ValueError, "W must have shape"),
        (lambda: FEATURES.with_classifier(NAN, B), ValueError, "W must be finite"),
        (lambda: FEATURES.with_classifier(W + 1j, B), TypeError, "W must be real"),
        (lambda: FEATURES.with_classifier("fc", B), (TypeError, ValueError), "W must"),
        (lambda: FEATURES.with_classifier(W, B[:-1]), ValueError, "b must have shape"),
        (lambda: FEATURES.with_classifier(W, B[:, None]), ValueError, "b must have shape"),
        (lambda: FEATURES.with_classifier(W, B * np.inf), ValueError, "b must be finite"),
        (lambda: FEATURES.with_classifier(W, list("abcd")), TypeError, "b must be real"),
        (lambda: FEATURES.with_classifier(W, B, H=H[1:]), ValueError, "H must have shape"),
        (lambda: FEATURES.with_classifier(W, B, H=H[:, 1:]), ValueError, "H must have shape"),
        (lambda: SUMS.with_classifier(W, B, H=H), ValueError, "H needs nearest"),
        (lambda: nc.collapse(H, Y[:, None]), ValueError, "ravel"),
        (lambda: nc.FeatureSums().update(H, np.eye(4)[Y]), ValueError, "argmax"),
        (lambda: 1 + nc.FeatureSums(), TypeError, "unsupported operand"),
    ],
)
def test_malformed_calls_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
