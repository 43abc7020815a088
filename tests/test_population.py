"""NC1 of large Gaussian mixtures against their population values, which are integrals.

Classes are N(m 1, s^2 I) in d0 features, one hidden layer, weight variance 1, no biases. A hidden
unit with weights w ~ N(0, I) sees w.x/sqrt(d0) ~ N(m t, v), t = w.1/sqrt(d0) ~ N(0, 1), v = s^2
(t^2 + r^2)/d0, r^2 = |w|^2 - t^2 ~ chi^2(d0 - 1): every expectation is a two-dimensional integral
over (t, r).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

import nc1fast as nc

N_SETS, N_SAMPLES = 40, 4096
DATA = {"d1": ((-2.0, 2.0), 0.5), "d2": ((-6.0, -2.0, 2.0, 6.0), 0.5)}
KERNELS = {
    "nngp-relu": nc.ConjugateKernel("relu"),
    "ntk-relu": nc.NTK("relu"),
    "nngp-erf": nc.ConjugateKernel("erf"),
    "ntk-erf": nc.NTK("erf"),
}
# Computed apart from this file, to the digits given: (data, kernel) -> {d0: NC1}. The ReLU NTK at
# d0 = 2 is not among them: the published .18384 and .0415 disagree with these integrals, and a
# Monte Carlo below decides.
CONSTANTS = {
    ("d1", "nngp-relu"): {1: ".12499", 2: ".11963", 8: ".11668", 128: ".11592"},
    ("d1", "ntk-relu"): {1: ".12499", 8: ".21965", 128: ".22952"},
    ("d1", "nngp-erf"): {1: ".00886", 2: ".05525", 8: ".09318", 128: ".10569"},
    ("d1", "ntk-erf"): {1: ".03242", 2: ".11045", 8: ".18507", 128: ".21223"},
    ("d2", "nngp-relu"): {1: ".0208", 2: ".0202", 8: ".0199", 128: ".0198"},
    ("d2", "ntk-relu"): {1: ".0208", 8: ".0538", 128: ".0572"},
    ("d2", "nngp-erf"): {1: ".0039", 2: ".0312", 8: ".0531", 128: ".0602"},
    ("d2", "ntk-erf"): {1: ".0122", 2: ".0907", 8: ".1655", 128: ".1926"},
}


def _nodes(n_features):
    """(t, r^2, weight) from polar coordinates t = R cos(f), r = R sin(f): smooth in R and on each
    side of f = pi/2.

    In (t, r) the slopes jump with the direction at the origin, which costs four digits at d0 = 2.
    """
    x, w = np.polynomial.legendre.leggauss(200)
    centre = math.sqrt(n_features)
    low, high = max(0.0, centre - 9), centre + 9
    R = (low + high) / 2 + (high - low) / 2 * x
    wR = w * np.exp((n_features - 1) * np.log(R / centre) - (R**2 - centre**2) / 2)
    if n_features == 1:
        f, wf = np.array([0.0, np.pi]), np.ones(2)
    else:
        f = np.concatenate([np.pi / 4 * (1 + x), np.pi / 4 * (3 + x)])
        wf = np.tile(w, 2) * np.sin(f) ** (n_features - 2)
    weight = np.outer(wR, wf)
    R, f = np.meshgrid(R, f, indexing="ij")
    return R * np.cos(f), (R * np.sin(f)) ** 2, weight / weight.sum()


def population_moments(data, name, n_features):
    """(T, M): E k(x, x) (C,) and E k(x, x') of independent rows (C, C)."""
    means, s = DATA[data]
    t, r2, weight = _nodes(n_features)
    v = s**2 * (t**2 + r2) / n_features
    erf, ntk = name.endswith("erf"), name.startswith("ntk")
    mean, slope, curve, T = [], [], [], []  # E phi, E phi', E phi'' given the weights
    for m in means:
        z = m * t
        if erf:
            u = 1 + 2 * v
            mean.append(special.erf(z / np.sqrt(u)))
            slope.append(2 * np.exp(-(z**2) / u) / np.sqrt(np.pi * u))
            curve.append(-2 * z * slope[-1] / u)
        else:
            ratio = z / np.sqrt(v)
            density = np.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
            mean.append(z * special.ndtr(ratio) + np.sqrt(v) * density)
            slope.append(special.ndtr(ratio))
            curve.append(density / np.sqrt(v))
        # |x|^2/d0 of a row: (m sqrt(d0) + s g)^2 + s^2 chi^2(d0 - 1) over d0, g standard normal
        q = ((m * math.sqrt(n_features) + s * t) ** 2 + s**2 * r2) / n_features
        own = 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q)) if erf else q / 2
        if ntk:
            own = own + (4 / np.pi * q / np.sqrt(1 + 4 * q) if erf else q / 2)
        T.append(np.sum(weight * own))
    M = np.empty((len(means), len(means)))
    for c, m in enumerate(means):
        for e, n in enumerate(means):
            value = mean[c] * mean[e]
            if ntk:  # E <x, x'>/d0 phi' phi', by Stein's identity in x and in x'
                value = value + m * n * slope[c] * slope[e]
                value += s**2 * t / n_features * (n * curve[c] * slope[e] + m * slope[c] * curve[e])
                value += s**4 * (t**2 + r2) / n_features**2 * curve[c] * curve[e]
            M[c, e] = np.sum(weight * value)
    return np.array(T), M


def population_nc1(data, name, n_features, per_class=math.inf):
    """Ratio of the expected traces of balanced classes with `per_class` rows each."""
    T, M = population_moments(data, name, n_features)
    V = T - np.diag(M)
    M = M + np.diag(V / per_class)
    C = len(T)
    J = np.eye(C) - 1 / C
    return np.mean(V) * (1 - 1 / per_class) / (np.trace(J @ M @ J.T) / C)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", KERNELS)
def test_integrals_give_the_published_constants(data, name):
    for n_features, text in CONSTANTS[data, name].items():
        value = population_nc1(data, name, n_features)
        last_digit = 10.0 ** -(len(text) - 1)
        assert abs(value - float(text)) <= 0.51 * last_digit, (n_features, value)


def _relu_ntk(x, z):
    """(Theta, <x, z>/d0) of paired rows, by the textbook arc-cosine formulas."""
    d = x.shape[1]
    a, b, c = (x * x).sum(axis=1) / d, (z * z).sum(axis=1) / d, (x * z).sum(axis=1) / d
    s = np.sqrt(np.maximum(a * b - c * c, 0))
    theta = np.arctan2(s, c)
    return (s + 2 * (np.pi - theta) * c) / (2 * np.pi), c


@pytest.mark.parametrize("data", DATA)
@pytest.mark.slow
def test_relu_ntk_integral_at_two_features_equals_monte_carlo(data):
    means, s = DATA[data]
    n_batches, n_pairs, d = 20, 50_000, 2
    C = len(means)
    J = np.eye(C) - 1 / C
    T = np.array([m**2 + s**2 for m in means])  # Theta(x, x) = <x, x>/d0
    rng = np.random.default_rng(29)
    nc1 = []
    for _ in range(n_batches):
        M = np.empty((C, C))
        for c, e in zip(*np.triu_indices(C), strict=True):
            x = means[c] + s * rng.standard_normal((n_pairs, d))
            z = means[e] + s * rng.standard_normal((n_pairs, d))
            theta, linear = _relu_ntk(x, z)
            # <x, z>/d0 has mean m n and nearly all of the variance where the means have one sign
            same = means[c] * means[e] > 0
            M[c, e] = M[e, c] = (
                np.mean(theta - linear) + means[c] * means[e] if same else theta.mean()
            )
        nc1.append(np.mean(T - np.diag(M)) / (np.trace(J @ M @ J.T) / C))
    t = (np.mean(nc1) - population_nc1(data, "ntk-relu", d)) / (
        np.std(nc1, ddof=1) / n_batches**0.5
    )
    assert abs(t) <= 4, (np.mean(nc1), np.std(nc1, ddof=1) / n_batches**0.5, t)


def _data_set(data, n_features, seed):
    """Balanced classes in float32: rows and tiles of that precision move NC1 by 1e-7, its spread is
    above 1e-3.
    """
    means, s = DATA[data]
    rng = np.random.default_rng([n_features, len(means), seed])
    y = np.repeat(np.arange(len(means)), N_SAMPLES // len(means))
    X = np.float32(s) * rng.standard_normal((N_SAMPLES, n_features), dtype=np.float32)
    X += np.array(means, dtype=np.float32)[y, None]
    return X, y


@pytest.mark.slow
@pytest.mark.parametrize("n_features", [1, 2, 8, 128])
@pytest.mark.parametrize("data", DATA)
def test_large_samples_agree_with_the_population(data, n_features):
    rows = []
    for seed in range(N_SETS):
        X, y = _data_set(data, n_features, seed)
        results = nc.collapse(X, y, list(KERNELS.values()), statistics="sums", dtype="float32")
        rows.append([result.nc1 for result in results])
    nc1 = np.array(rows)  # (N_SETS, kernels)
    per_class = N_SAMPLES // len(DATA[data][0])
    for k, name in enumerate(KERNELS):
        expected = population_nc1(data, name, n_features, per_class)
        t = (nc1[:, k].mean() - expected) / (nc1[:, k].std(ddof=1) / math.sqrt(N_SETS))
        # the normal deviate as improbable as this t of N_SETS - 1 degrees of freedom
        z = stats.norm.isf(stats.t.sf(abs(t), N_SETS - 1))
        assert z <= 4, (name, expected, nc1[:, k].mean(), t)
