"""Proximal features: each map and objective by its definition, the descent on data made to break
it, and the kernels at large width.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.estimators.proximal_limit import wide_gram
from nc1fast.estimators.proximal_map import PROXES, draw_proximal, proximal

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 8))


PROXIMAL_MAPS = {
    "relu": lambda v, s: max(v, 0.0),
    "soft": lambda v, s: np.sign(v) * max(abs(v) - s, 0.0),
    "hard": lambda v, s: v if abs(v) > s else 0.0,
}


def _relative(G, K):
    return np.linalg.norm(G - K) / np.linalg.norm(K)


def _by_definition(x, D, prox, s, steps):
    """y <- h(D^T x + (I - D^T D) y), one signal at a time, h entry by entry."""
    h = PROXIMAL_MAPS[prox]
    y, rest = np.zeros(D.shape[1]), np.eye(D.shape[1]) - D.T @ D
    for _ in range(steps):
        y = np.array([h(v, s) for v in D.T @ x + rest @ y])
    return y


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("prox", PROXES)
def test_features_are_the_codes_of_the_definition(prox, steps):
    H = nc.estimators.proximal_features(X, 20, steps=steps, prox=prox, threshold=0.7, seed=5)
    D = draw_proximal(8, 20, seed=5).dictionary
    np.testing.assert_allclose(D @ D.T, np.eye(8), rtol=0, atol=1e-14)
    signals = X / np.sqrt(8)
    codes = [_by_definition(x, D, prox, 0.7 / np.sqrt(20), steps) for x in signals]
    np.testing.assert_allclose(H, codes, rtol=0, atol=1e-13)
    assert (H != 0).any(axis=1).all()


@pytest.mark.parametrize("prox", PROXES)
def test_h_is_the_proximal_map_of_the_penalty(prox):
    """h(v) is where (v - z)^2/2 + R(z) is least, over a fine grid of z."""
    z = np.linspace(-3, 3, 600_001)
    penalty = {
        "relu": np.where(z >= 0, 0.0, np.inf),
        "soft": 0.6 * np.abs(z),
        "hard": 0.6**2 / 2 * (np.abs(z) > 1e-9),
    }[prox]
    for v in (-2.5, -0.7, -0.5, 0.0, 0.3, 0.61, 1.9):
        found = proximal(np.array([v]), prox, 0.6)[0]
        assert found == pytest.approx(z[((v - z) ** 2 / 2 + penalty).argmin()], abs=2e-5)


@pytest.mark.parametrize("prox", PROXES)
def test_the_objective_is_that_of_the_definition(prox):
    net = draw_proximal(8, 12, prox=prox, threshold=0.9)
    codes = np.abs(RNG.normal(size=(30, 12))) * (RNG.uniform(size=(30, 12)) < 0.5)
    s = 0.9 / np.sqrt(12)
    penalty = {
        "relu": lambda y: 0.0,
        "soft": lambda y: s * sum(map(abs, y)),
        "hard": lambda y: s**2 / 2 * sum(v != 0 for v in y),
    }[prox]
    expected = [
        np.linalg.norm(x / np.sqrt(8) - net.dictionary @ y) ** 2 / 2 + penalty(y)
        for x, y in zip(X, codes, strict=True)
    ]
    np.testing.assert_allclose(net.objective(X, codes), expected, rtol=1e-13)
    if prox == "relu":
        codes[3, 2] = -1e-9
        assert np.flatnonzero(np.isinf(net.objective(X, codes))).tolist() == [3]


@pytest.mark.parametrize("threshold", [0.0, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("width", [5, 6, 11, 80])
@pytest.mark.parametrize("prox", PROXES)
def test_no_step_rises_whatever_the_rows(prox, width, threshold):
    """Zero, opposite, sparse, tiny and huge rows, narrow and wide, with thresholds that none or
    nearly all units meet.
    """
    rows = RNG.normal(size=(12, 5))
    rows[0], rows[1], rows[2, 1:] = 0, -rows[3], 0
    rows[4] *= 1e-9
    rows[5] *= 1e9
    rows[6] = draw_proximal(5, width, seed=width).dictionary[:, 0]  # an atom
    net = draw_proximal(5, width, prox=prox, threshold=threshold, seed=width)
    path = [net.objective(rows, np.zeros((12, width)))]
    path += [net.objective(rows, y) for y in itertools.islice(net.iterates(rows), 200)]
    assert (np.diff(path, axis=0) <= 1e-12 * path[0]).all()
    assert (np.array(path[-1]) >= 0).all()
    assert path[-1].sum() < path[0].sum() or threshold == 4.0


@pytest.mark.parametrize("steps", [1, 2, 5, 20])
def test_many_units_of_relu_have_a_multiple_of_the_nngp(steps):
    H = nc.estimators.proximal_features(X, 20_000, steps=steps, seed=1)
    assert _relative(H @ H.T, (2 - 2.0 ** (1 - steps)) ** 2 * nc.NNGP("relu")(X)) < 0.03


@pytest.mark.parametrize("width", [6, 200])
def test_one_step_of_relu_is_the_nngp_in_the_mean_at_any_width(width):
    """Over dictionaries, within four standard errors: columns of D have uniform directions and the
    mean square length d0/m.
    """
    n, rows = 2000 if width == 6 else 300, X[:5, :6]
    codes = [nc.estimators.proximal_features(rows, width, seed=seed) for seed in range(n)]
    grams = np.array([H @ H.T for H in codes])
    errors = grams.std(axis=0, ddof=1) / np.sqrt(n)
    K = nc.NNGP("relu")(rows)
    assert (np.abs(grams.mean(axis=0) - K) < 4 * errors).all()
    assert errors.max() < 0.02 * K.max()


def test_the_infinite_width_in_closed_form():
    """ReLU, and one step of the soft threshold, which is relu(u - t) - relu(-u - t) of symmetric
    inputs.
    """
    rows = X.copy()
    rows[1], rows[2] = -rows[0], 3 * rows[0]
    rows[3] = rows[0] + 1e-3 * rows[4]

    def error(K, expected):
        scale = np.sqrt(np.diag(expected))
        return np.abs((K - expected) / np.outer(scale, scale)).max()

    for steps, factor in ((1, 1.0), (3, 1.75**2)):
        assert error(wide_gram(rows, steps=steps), factor * nc.NNGP("relu")(rows)) < 5e-5
    one_sided = nc.NNGP(nc.ShiftedReLU(0.8))
    expected = 2 * (one_sided(rows) - one_sided(rows, -rows))
    assert error(wide_gram(rows, prox="soft", threshold=0.8), expected) < 1e-4
    rows[5] = 0
    K = wide_gram(rows, prox="soft", steps=3)
    assert not K[5].any()
    assert np.isfinite(K).all()


@pytest.mark.parametrize(("prox", "steps"), [("soft", 3), ("soft", 10), ("hard", 2), ("hard", 10)])
def test_the_infinite_width_of_thresholds_after_many_steps(prox, steps):
    """Networks that are 16 times as wide are four times as near: what is left is chance, not
    another limit.
    """
    K = wide_gram(X, prox=prox, steps=steps, threshold=0.8)
    how, errors = {"steps": steps, "prox": prox, "threshold": 0.8}, []
    for m in (1000, 16_000):
        codes = [nc.estimators.proximal_features(X, m, seed=seed, **how) for seed in range(6)]
        errors.append(np.sqrt(np.mean([_relative(H @ H.T, K) ** 2 for H in codes])))
    assert errors[1] < 0.03
    assert 2.5 < errors[0] / errors[1] < 8


def test_bits_depend_on_the_seed_alone(tmp_path):
    call, how = nc.estimators.proximal_features, {"steps": 3, "prox": "soft", "seed": 2}
    rows = RNG.normal(size=(300, 8))
    H = call(rows, 4000, **how)  # several chunks
    np.save(tmp_path / "X.npy", rows)
    np.testing.assert_array_equal(call(tmp_path / "X.npy", 4000, **how, n_threads=3), H)
    np.testing.assert_array_equal(call(rows[150:160], 4000, **how), H[150:160])
    assert np.abs(call(rows, 4000, **{**how, "seed": 3}) - H).max() > 1e-3
    single = call(rows, 4000, **how, dtype="float32")
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, H, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"n_features": 7}, r"n_features must be >= 8, the features of X, got 7"),
        ({"prox": "elastic"}, r"prox must be one of 'relu', 'soft', 'hard'"),
        ({"steps": 0}, r"steps must be >= 1"),
        ({"threshold": -0.5}, r"threshold must be finite and >= 0"),
        ({"dtype": "mixed"}, r"dtype must be one of"),
        ({"seed": -1}, r"seed must be >= 0"),
    ],
)
def test_what_has_no_features(how, message):
    with pytest.raises(ValueError, match=message):
        nc.estimators.proximal_features(X, **{"n_features": 16, **how})
    if set(how) <= {"prox", "steps", "threshold"}:
        with pytest.raises(ValueError, match=message):
            wide_gram(X, **how)
