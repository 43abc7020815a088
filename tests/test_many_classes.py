"""Metrics of many classes, in blocks and with float32 where that is certain, against dense
NumPy.
"""

from __future__ import annotations

import itertools
import math
import pickle
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import reference
from nc1fast.core import linear
from nc1fast.metrics import CONVENTIONS, METRICS, nearest, pairs, rows
from nc1fast.metrics.frames import MeanFrame
from nc1fast.metrics.nearest import NearestMeans
from nc1fast.metrics.pairs import FrameDistance, MeanOverPairs, SpreadOverPairs, sweep
from nc1fast.metrics.result import collapse_from_sums
from nc1fast.sums import pass_sums

pytestmark = pytest.mark.filterwarnings("ignore:class sizes range")
SHAPES = [(23, 5, 300), (9, 40, 150), (16, 16, 90), (31, 2, 60)]  # classes, features, rows


def _drawn(seed, n_classes, d, n, dtype=np.float64):
    """Rows of classes of very unequal sizes, some of one row, with means of very unequal
    lengths.
    """
    rng = np.random.default_rng(seed)
    share = rng.exponential(size=n_classes) ** 2
    drawn = rng.choice(n_classes, n - n_classes, p=share / share.sum())
    y = rng.permutation(np.concatenate([np.arange(n_classes), drawn]))
    means = rng.normal(size=(n_classes, d)) * rng.exponential(size=(n_classes, 1)) + 0.7
    return (rng.normal(size=(n, d)) + means[y]).astype(dtype), y


def _dense(G, V, M):
    """Every metric over pairs from C x C arrays, G of the centred class means and M of the class
    means.
    """
    C = len(G)
    r = np.sqrt(G.diagonal())
    cos = (G / np.outer(r, r))[np.triu_indices(C, 1)]
    gaps = np.sqrt(2 - 2 * cos)
    apart = (M.diagonal()[:, None] + M.diagonal() - 2 * M)[np.triu_indices(C, 1)]
    simplex = (np.eye(C) - 1 / C) / math.sqrt(C - 1)
    within = [(V[a] + V[c]) / 2 for a, c in itertools.combinations(range(C), 2)]
    return {
        "nc2_equiangle": cos.std(),
        "nc2_cosine_offset": np.abs(cos + 1 / (C - 1)).mean(),
        "nc2_etf": np.linalg.norm(G / np.linalg.norm(G) - simplex),
        "nc2_orthogonal": np.linalg.norm(M / np.linalg.norm(M) - np.eye(C) / math.sqrt(C)),
        "gnc2_log": -np.log(gaps).mean(),
        "gnc2_riesz": (1 / gaps).mean(),
        "cdnv": (within / apart).mean(),
    }


@pytest.mark.parametrize("side", [1, 4, 256])
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_metrics_of_pairs_equal_dense_formulas(shape, convention, side, monkeypatch):
    monkeypatch.setattr(pairs, "_SIDE", side)
    H, y = _drawn(1, *shape)
    result = nc.collapse(H, y, convention=convention)
    kept = nc.collapse(H, y, convention=convention, keep_rows=True)
    mu = np.array([H[y == c].mean(axis=0) for c in range(shape[0])])
    V = np.array([np.square(H[y == c] - mu[c]).sum(axis=1).mean() for c in range(shape[0])])
    g = {"p": result.sizes / len(y), "u": np.full(shape[0], 1 / shape[0])}
    Z = mu - g[CONVENTIONS[convention][2]] @ mu
    for name, value in _dense(Z @ Z.T, V, mu @ mu.T).items():
        assert getattr(result, name) == pytest.approx(value, rel=1e-10, abs=1e-12), name
        assert getattr(kept, name) == pytest.approx(value, rel=1e-10, abs=1e-12), name


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("shape", SHAPES)
def test_spectra_and_nearest_means_equal_the_reference(shape, dtype):
    H, y = _drawn(2, *shape, dtype)
    wide = H.astype(np.float64)
    for convention in CONVENTIONS:
        expected = reference.collapse_features(wide, y, convention)
        result = nc.collapse(H, y, convention=convention)
        assert result.nc1_pinv == pytest.approx(expected["nc1_pinv"], rel=1e-7)
        assert result.between_rank == expected["between_rank"]
        assert result.nc1 == pytest.approx(expected["nc1"], rel=1e-12)
        np.testing.assert_array_equal(result.nearest_center, expected["nearest_center"])
        assert result.ncc_accuracy == expected["ncc_accuracy"]


@pytest.mark.parametrize("shape", [(700, 20, 4000), (20, 33, 900)])
def test_bits_do_not_depend_on_threads(shape):
    H, y = _drawn(3, *shape)
    W = np.random.default_rng(0).normal(size=shape[:2])
    one, two = (
        nc.collapse(H, y, convention="papyan", n_threads=n).with_classifier(W, H=H) for n in (1, 2)
    )
    assert (one.nc1, one.error_bound) == (two.nc1, two.error_bound)
    for name in METRICS:
        np.testing.assert_array_equal(one.metrics[name], two.metrics[name], err_msg=name)


def test_nothing_of_all_pairs_of_classes_is_held():
    C, d = 3000, 4
    H, y = _drawn(4, C, d, 2 * C)
    tracemalloc.start()
    try:
        result = nc.collapse(H, y, convention="papyan", n_threads=1)
        told, _ = result.summary(), result.missing
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * C**2 / 2
    assert "nc2_etf" in told
    assert result.class_gram.shape == (C, C)
    assert result.sums.block_sums.shape == (C, C)


def test_results_can_be_pickled():
    H, y = _drawn(5, 6, 4, 60)
    result = nc.collapse(H, y, convention="papyan")
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.cdnv_by_pair, result.cdnv_by_pair)
    np.testing.assert_array_equal(again.sums.block_sums, result.sums.block_sums)
    assert again.nc2_etf == result.nc2_etf


def _vertices(C, d):
    """Vertices of a simplex equiangular tight frame (C, d)."""
    Q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(d, d)))
    return (np.eye(C) - 1 / C) @ Q[:C]


@pytest.mark.parametrize("scale", [1e-120, 1.0, 1e120])
@pytest.mark.parametrize("distance", [0.0, 1e-3, 1e-7])
def test_distances_from_ideal_frames_keep_their_digits(scale, distance, monkeypatch):
    """A frame moved by `distance` is as far from the ideal one: 1 - cos would lose half of the
    digits.
    """
    monkeypatch.setattr(pairs, "_SIDE", 5)
    C, d = 12, 20
    rng = np.random.default_rng(0)
    E = rng.normal(size=(C, C))
    uniform = nc.metrics.weights("class", np.ones(C, dtype=np.int64))
    for ideal, vectors in {"simplex": _vertices(C, d), "orthogonal": np.eye(C, d)}.items():
        A = vectors + distance * np.linalg.norm(vectors) / C * (E @ _vertices(C, d))
        means = MeanFrame(uniform, means=scale * A)
        metric = FrameDistance(ideal)
        found = sweep(means, None, [metric])[metric]
        Z = (A - A.mean(axis=0) if ideal == "simplex" else A).astype(np.longdouble)
        G = Z @ Z.T
        S = np.eye(C, dtype=np.longdouble)
        S = S / C**0.5 if ideal == "orthogonal" else (S - 1 / np.longdouble(C)) / (C - 1) ** 0.5
        S /= np.sqrt((S**2).sum())
        expected = np.sqrt(((G / np.sqrt((G**2).sum()) - S) ** 2).sum())
        assert found == pytest.approx(float(expected), rel=1e-6, abs=2e-15)


def test_sweeps_of_coincident_and_of_zero_means():
    uniform = nc.metrics.weights("class", np.ones(5, dtype=np.int64))
    mean, spread = MeanOverPairs(pairs.dispersion), SpreadOverPairs(pairs.cosine)
    frames = [FrameDistance("simplex"), FrameDistance("orthogonal")]
    means = np.array([[1.0, 0], [1, 0], [0, 1], [3, 4], [2, 2]])
    found = sweep(MeanFrame(uniform, means=means), np.ones(5), [mean, spread])
    assert found[mean] == math.inf
    zero = sweep(MeanFrame(uniform, means=np.zeros((5, 2))), np.ones(5), [spread, *frames])
    assert zero == {spread: 0.0, frames[0]: 1.0, frames[1]: 1.0}


def _nearest(X, Z):
    """The nearest of the rows of Z in exact arithmetic, the lowest of several."""
    exact_Z = [[Fraction(v) for v in z] for z in Z.tolist()]
    out = []
    for x in X.tolist():
        row = [Fraction(v) for v in x]
        squares = [sum((a - b) ** 2 for a, b in zip(row, z, strict=True)) for z in exact_Z]
        out.append(min(range(len(Z)), key=squares.__getitem__))
    return np.array(out)


def _hard(case):
    rng = np.random.default_rng(6)
    Z = rng.normal(size=(40, 3))
    X = Z[rng.integers(0, 40, 200)] + 0.5 * rng.normal(size=(200, 3))
    if case == "halfway":  # float32 cannot tell which of two is nearer
        pairs_of = rng.integers(0, 40, (2, 200))
        X = (Z[pairs_of[0]] + Z[pairs_of[1]]) / 2 + 1e-9 * rng.normal(size=(200, 3))
    elif case == "twins":
        Z = np.concatenate([Z, Z + 1e-10 * rng.normal(size=(40, 3))])
    elif case == "one far mean":
        Z[7] *= 1e6
    elif case == "one far row":
        X[3] *= 1e45  # beyond float32
    elif case == "many near":
        Z = 1e-9 * Z
        Z[0] = 1.0
    return X, Z


@pytest.mark.parametrize(
    "case", ["plain", "halfway", "twins", "one far mean", "one far row", "many near"]
)
@pytest.mark.parametrize("exponent", [0, -400, 300])
def test_nearest_means_are_those_of_exact_arithmetic(case, exponent):
    X, Z = (np.ldexp(A, exponent) for A in _hard(case))
    found = NearestMeans(Z).of(X)
    exact = _nearest(X, Z)
    wrong = np.flatnonzero(found != exact)
    # What float64 cannot tell either: distances that agree to its roundings.
    a, b = (
        np.ldexp(np.square(X[wrong] - Z[k[wrong]]).sum(axis=1), -2 * exponent)
        for k in (found, exact)
    )
    size = np.ldexp(np.abs(X[wrong]).max(axis=1, initial=0) + np.abs(Z).max(), -exponent) ** 2
    assert (np.abs(a - b) <= 2.0**-48 * size).all()
    assert len(wrong) <= (0 if case in ("plain", "halfway", "twins", "one far mean") else 60)


@pytest.mark.parametrize("spread", [0.0, 1e-12, 0.1, 0.45, 0.5, 0.7])
def test_rows_within_reach_of_their_means_are_decided_without_products(spread, monkeypatch):
    rng = np.random.default_rng(10)
    Z = rng.normal(size=(30, 3))
    Z[7] = Z[3] + 1e-7
    own = rng.integers(0, 30, 400)
    apart = np.linalg.norm(Z[:, None] - Z, axis=2) + np.diag(np.full(30, np.inf))
    toward = Z[apart.argmin(axis=1)] - Z  # to the nearest other mean: the hardest direction
    D = spread * toward[own]
    search = NearestMeans(Z)
    assert (search.reach <= apart.min(axis=1) / 2).all()
    np.testing.assert_allclose(
        np.delete(search.reach, [3, 7]), np.delete(apart.min(axis=1) / 2, [3, 7]), rtol=1e-3
    )
    found, exact = search.of_members(D, own), _nearest(D + Z[own], Z)
    if spread != 0.5:  # halfway is halfway
        np.testing.assert_array_equal(found, exact)
    sure = np.isin(own, [3, 7], invert=True)
    if spread < 0.4:
        monkeypatch.setattr(search, "of", None)
        np.testing.assert_array_equal(search.of_members(D[sure], own[sure]), own[sure])


def test_equal_means_go_to_the_lowest(monkeypatch):
    rng = np.random.default_rng(7)
    Z = rng.normal(size=(6, 4))[[0, 1, 2, 0, 1, 2, 3, 4, 5] * 3]
    X = rng.normal(size=(50, 4))
    expected = np.square(X[:, None] - Z[:9]).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(NearestMeans(Z).of(X), expected)
    assert not NearestMeans(np.zeros((20, 4))).of(X).any()
    monkeypatch.setattr(nearest, "_FEW", 1)  # all by products in float64
    np.testing.assert_array_equal(NearestMeans(Z).of(X), expected)


def test_pieces_of_rows_decide_nothing(monkeypatch):
    H, y = _drawn(8, 12, 5, 300)
    whole = nc.collapse(H, y, convention="class")
    monkeypatch.setattr(rows, "_MOST_ROWS", 7)
    monkeypatch.setattr(linear, "_COLUMNS", 2)
    pieces = nc.collapse(H, y, convention="class")
    np.testing.assert_array_equal(pieces.nearest_center, whole.nearest_center)
    for name in ("nc1_pinv", "within_effective_rank", "within_stable_rank"):
        assert getattr(pieces, name) == pytest.approx(getattr(whole, name), rel=1e-12)


def _exact_traces(H, y, convention):
    """Both traces in rational arithmetic."""
    rows = [[Fraction(v) for v in row] for row in H.tolist()]
    C, N, d = int(y.max()) + 1, len(y), H.shape[1]
    members = [[row for row, k in zip(rows, y.tolist(), strict=True) if k == c] for c in range(C)]
    p, u = [Fraction(len(m), N) for m in members], [Fraction(1, C)] * C
    wW, wB, g = ({"p": p, "u": u}[letter] for letter in CONVENTIONS[convention])
    mu = [[sum(row[j] for row in m) / len(m) for j in range(d)] for m in members]
    center = [sum(g[c] * mu[c][j] for c in range(C)) for j in range(d)]

    def square(a, b):
        return sum((s - t) ** 2 for s, t in zip(a, b, strict=True))

    V = [
        sum(square(row, m) for row in rows_) / len(rows_)
        for rows_, m in zip(members, mu, strict=True)
    ]
    within = sum(w * v for w, v in zip(wW, V, strict=True))
    if convention != "released":
        return within, sum(w * square(m, center) for w, m in zip(wB, mu, strict=True))
    norms = [square(m, [0] * d) for m in mu]
    within += sum((a - b) * n for a, b, n in zip(wW, wB, norms, strict=True))
    return within, sum(norms) / C - square(center, [0] * d)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("offset", "apart", "sd"), [(0, 1, 1), (1e7, 1, 1e-3), (1e3, 1e-9, 1e-12)])
def test_bounds_hold_where_means_are_far_from_zero(convention, offset, apart, sd):
    rng = np.random.default_rng(9)
    y = np.repeat(np.arange(5), [1, 3, 9, 4, 13])
    H = offset + apart * rng.normal(size=(5, 3))[y] + sd * rng.normal(size=(30, 3))
    result = nc.collapse(H, y, convention=convention)
    within, between = _exact_traces(H, y, convention)
    assert abs(result.nc1 - float(within / between)) <= result.error_bound
    if convention != "released":
        assert result.error_bound <= 40 * 2.0**-53 * (10 + offset / apart) * result.nc1
    read = collapse_from_sums(result.sums, convention)
    assert (read.nc1, read.error_bound) == (result.nc1, result.error_bound)


def test_row_sums_do_not_depend_on_how_many_classes_are_turned_into_numbers_at_a_time(
    monkeypatch,
) -> None:
    X, y = _drawn(5, 17, 9, 300)

    def row_sums():
        return nc.class_sums(X, y, nc.NTK("relu")).row_sums

    whole = row_sums()
    K = nc.NTK("relu")(X)
    dense = np.stack([K[:, y == c].sum(axis=1) for c in range(17)], axis=1)
    np.testing.assert_allclose(whole, dense, rtol=1e-8)
    for entries in (1, 300, 900, 1300):
        monkeypatch.setattr(pass_sums, "_CHUNK", entries)
        assert row_sums().tobytes() == whole.tobytes()
