"""Scores of rows that may be of no class, and collapse in regression, against dense NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import nc1fast as nc
from nc1fast.metrics import regression_collapse
from nc1fast.metrics.novelty import SCORES
from nc1fast.metrics.regression import REGRESSION_METRICS, best_gamma

pytestmark = pytest.mark.filterwarnings("ignore:class sizes range")


@pytest.fixture(params=[(4, 9), (12, 5)], ids=["few classes", "many classes"])
def rows(request):
    C, d = request.param
    rng = np.random.default_rng(C)
    y = rng.permutation(np.concatenate([np.arange(C), rng.integers(0, C, 150)]))
    H = rng.normal(size=(len(y), d)) + 2 * rng.normal(size=(C, d))[y] + 0.4
    W, b = rng.normal(size=(C, d)), rng.normal(size=C)
    return H, y, W, b, 3 * rng.normal(size=(40, d))


def _dense(H, W, b, G, mu, rank):
    """Every score by the covariance of the rows H; principal axes by a singular value
    decomposition.
    """
    center = H.mean(axis=0)

    def axes(A, r):
        return np.linalg.svd(A, full_matrices=False)[2][:r].T

    C, d = W.shape
    D = G - center
    A = axes(H - center, rank or C - 1)
    logits = G @ W.T + b
    origin = -np.linalg.pinv(W) @ b
    B = axes(H - origin, rank or max(1, d // 2))
    chosen = W[logits.argmax(axis=1)]
    return {
        "neco": np.linalg.norm(D @ A, axis=1) / np.linalg.norm(D, axis=1),
        "nci": (chosen * D).sum(axis=1) / np.linalg.norm(D, axis=1) + 0.01 * np.abs(G).sum(axis=1),
        "vim_residual": np.linalg.norm((G - origin) - (G - origin) @ B @ B.T, axis=1),
        "nc5": np.mean([abs(m @ G.mean(axis=0)) / np.linalg.norm(m) for m in mu])
        / np.linalg.norm(G.mean(axis=0)),
    }


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("route", ["training rows", "batches", "features"])
@pytest.mark.parametrize("convention", ["papyan", "probe", "class"])
def test_scores_equal_dense_formulas(rows, route, rank, convention):
    H, y, W, b, G = rows
    if route == "features" and H.shape[1] > len(W):
        pytest.skip("more features than classes: the covariance is not known")
    if route == "batches":
        sums = nc.FeatureSums(scatter=True)
        for part in np.array_split(np.arange(len(y)), 5):
            sums.update(H[part], y[part])
        result = sums.collapse(convention)
    else:
        result = nc.collapse(H, y, convention=convention)
    training = H if route == "training rows" else None
    found = result.with_classifier(W, b).ood(G, rank=rank, alpha=0.01, training=training)
    mu = np.array([H[y == c].mean(axis=0) for c in range(len(W))])
    expected = _dense(H, W, b, G, mu, rank)
    assert found.missing == {}
    assert set(SCORES) == set(found.scores)
    for name in SCORES:
        np.testing.assert_allclose(getattr(found, name), expected[name], rtol=1e-8, err_msg=name)
    assert found.nc5_orthogonality == pytest.approx(expected["nc5"], rel=1e-12)


def test_scores_under_exact_collapse():
    C, d = 5, 11
    rng = np.random.default_rng(1)
    Q, _ = np.linalg.qr(rng.normal(size=(d, d)))
    Z, center, y = 2 * (np.eye(C) - 1 / C) @ Q[:C], 0.5 * Q[5], np.repeat(np.arange(C), 6)
    H, W = (Z + center)[y], 3 * Z
    result = nc.collapse(H, y).with_classifier(W, -W @ center)
    inside = result.ood(H, rank=C, alpha=0.0, training=H)
    lengths = np.linalg.norm(W, axis=1)[y]
    np.testing.assert_allclose(inside.neco, 1, rtol=1e-12)
    np.testing.assert_allclose(inside.nci, lengths, rtol=1e-12)
    np.testing.assert_allclose(inside.vim_residual, 0, atol=1e-7)
    # Orthogonal to the classes, about their mean and about zero:
    outside = result.ood(
        center + rng.normal(size=(9, 5)) @ Q[6:], rank=C - 1, alpha=0.0, training=H
    )
    np.testing.assert_allclose(outside.neco, 0, atol=1e-7)
    np.testing.assert_allclose(outside.nci, 0, atol=1e-12)
    assert (outside.vim_residual > 0.1).all()
    assert result.ood(rng.normal(size=(9, 5)) @ Q[6:]).nc5_orthogonality < 1e-14
    assert result.ood(H[:1], training=H).neco == pytest.approx(1.0)
    at_the_mean = result.ood(result.sums.means.mean(axis=0)[None], alpha=0.0, training=H)
    assert 0 <= at_the_mean.neco[0] <= 1
    assert abs(at_the_mean.nci[0]) <= lengths.max()


def test_scores_that_are_missing_say_why(rows):
    H, y, W, _, G = rows
    result = nc.collapse(H, y)
    found = result.ood(G)
    assert found.nci is found.vim_residual is None
    assert "with_classifier" in found.missing["nci"]
    known = H.shape[1] <= len(W)
    assert (found.neco is not None) == known
    assert ("neco" in found.missing) == (not known)
    with pytest.raises(AttributeError, match="no attribute"):
        _ = found.unheard_of
    for X, given, message in (
        (G[:, 1:], {}, "H must have"),
        (G, {"training": H[:, 1:]}, "training must have"),
        (G, {"rank": 0}, "rank must be"),
        (G, {"rank": 99}, "rank must be"),
        (G, {"alpha": -1}, "alpha must be"),
        (np.nan * G, {}, "finite"),
    ):
        with pytest.raises(ValueError, match=message):
            result.ood(X, **given)
    with pytest.raises(ValueError, match="explicit features"):
        nc.collapse(H, y, nc.NNGP("relu")).ood(G)


def _regression(seed, n, d, N=200):
    rng = np.random.default_rng(seed)
    Y = rng.normal(size=(N, n)) @ rng.normal(size=(n, n)) + 1
    return rng.normal(size=(N, d)) + Y @ rng.normal(size=(n, d)), Y, rng.normal(size=(n, d))


@pytest.mark.parametrize(("n", "d"), [(1, 4), (2, 7), (3, 3), (4, 20)])
def test_regression_metrics_equal_dense_formulas(n, d):
    H, Y, W = _regression(n, n, d)
    unit = H / np.linalg.norm(H, axis=1, keepdims=True)
    A = np.linalg.svd(H - H.mean(axis=0))[2][:n].T
    B = W.T @ np.linalg.pinv(W.T)
    found = regression_collapse(H, Y, W)
    assert found.missing == {}
    assert found.nrc1 == pytest.approx(
        np.square(unit - unit @ A @ A.T).sum(axis=1).mean(), abs=1e-12
    )
    assert found.nrc2 == pytest.approx(np.square(unit - unit @ B).sum(axis=1).mean(), abs=1e-12)
    values, vectors = np.linalg.eigh(np.cov(Y.T, bias=True).reshape(n, n))
    R, G = (vectors * np.sqrt(values)) @ vectors.T, W @ W.T

    def distance(t):
        S = R - t * np.eye(n)
        return np.square(G / np.linalg.norm(G) - S / np.linalg.norm(S)).sum()

    if n > 1:
        least = math.sqrt(values[0])
        grid = np.linspace(0, least, 2001)
        best = min(distance(t) for t in grid)
        assert best - 1e-5 <= found.nrc3 <= best + 1e-12
        inside = minimize_scalar(distance, bounds=(0, least), method="bounded").fun
        assert found.nrc3 <= inside + 1e-12
    else:
        assert found.nrc3 == pytest.approx(0, abs=1e-15)
    variances = np.linalg.svd(H - H.mean(axis=0), compute_uv=False) ** 2
    np.testing.assert_allclose(found.explained, (variances / variances.sum())[: n + 5], rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_regression_metrics_under_exact_collapse(dtype):
    """W W^T = Sigma^(1/2) - gamma^(1/2) I, and features in the span of W: the optimum of the
    unconstrained model.
    """
    rng = np.random.default_rng(3)
    Y = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3))
    Y -= Y.mean(axis=0)
    values, vectors = np.linalg.eigh(Y.T @ Y / len(Y))
    gamma = 0.3 * values[0]
    Q, _ = np.linalg.qr(rng.normal(size=(10, 3)))
    W = (vectors * np.sqrt(np.sqrt(values) - math.sqrt(gamma))) @ Q.T
    H = (Y @ np.linalg.pinv(W).T).astype(dtype)
    found = regression_collapse(H, Y, W)
    tiny = 1e-24 if dtype == np.float64 else 1e-12
    assert max(found.nrc1, found.nrc2, found.nrc3) < tiny
    root = (vectors * np.sqrt(values)) @ vectors.T
    assert best_gamma(W @ W.T, root) == pytest.approx(gamma, rel=1e-6)
    assert found.explained[:3].sum() == pytest.approx(1)
    assert set(REGRESSION_METRICS) == {"nrc1", "nrc2", "nrc3"}


def test_regression_without_weights_and_malformed_calls():
    H, Y, W = _regression(5, 2, 6)
    found = regression_collapse(H, Y)
    assert found.nrc2 is found.nrc3 is None
    assert set(found.missing) == {"nrc2", "nrc3"}
    assert found.nrc1 == regression_collapse(H, Y, W).nrc1
    for arguments, message in (
        ((H, Y[1:]), "Y must have 200 rows"),
        ((H, np.hstack([Y] * 4)), "at most 6 targets"),
        ((H, Y, W.T), "W must have shape"),
        ((H * np.nan, Y), "finite"),
    ):
        with pytest.raises(ValueError, match=message):
            regression_collapse(*arguments)
