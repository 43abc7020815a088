"""The study of exact steps: its derivatives against mpmath, its kernels against gradients by
differences, its claims on made rows.
"""

# ruff: noqa: RUF012  (the data of a study, which nothing changes)
from __future__ import annotations

import mpmath
import numpy as np
import pytest
from tests.atlas_studies import StudyChecks

import nc1fast as nc
from nc1fast.studies.library import exact_step as parts


class TestStudy(StudyChecks):
    name = "exact-step"
    tiny = """
  - {part: orders, width: [16]}
  - {part: steps, width: [8, 32], points: [1, 12], steps: 5}
  - {part: nc1, d0: [8], n_samples: 32, repeats: 1}
"""
    tiny_words = {"holds": {"ES2", "ES3", "ES4", "ES6"}}
    things = 3
    figures = ["orders", "exact"]
    good = {"slope": 0.0, "first": 1e-16, "exact": 1e-15, "ntk": 1e-2, "power": -1.0, "sum": 1e-15}
    changes = [
        ("ES1", {"slope": 0.2}, "fails"),
        ("ES2", {"first": 1e-8}, "fails"),
        ("ES3", {"exact": 1e-9}, "fails"),
        ("ES4", {"ntk": 1e-13}, "fails"),
        ("ES5", {"power": -0.1}, "fails"),
        ("ES6", {"sum": 1e-9}, "fails"),
    ]
    exact = {"ES2", "ES3", "ES4", "ES6"}

    def fill(self, add, told, repeat):
        for eta in (0.02, 0.08):
            for q in range(1, parts.ORDERS + 1):
                size = eta ** (q + 1 + told["slope"])
                add(parts.order(q), parts.RESIDUAL, size, activation="tanh", width=64, eta=eta)
        for width in (16, 64):
            at = {"activation": "tanh", "width": width}
            add(parts.NTK, parts.ERROR, told["ntk"] * (width / 16) ** told["power"], **at)
            add(parts.order(1), parts.FIRST, told["first"], **at)
            add(parts.EXACT, parts.ERROR, 1e-3, **at, points=1)
            add(parts.EXACT, parts.ERROR, told["exact"], **at, points=12)
            add(parts.TRAINING, parts.ERROR, told["sum"], **at)


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_derivatives(name):
    """Against mpmath's, by differences of many digits."""
    places = [-3.0, -0.7, 0.0, 0.2, 1.5]
    found = parts.derivatives(name, np.array(places), parts.ORDERS)
    assert len(found) == parts.ORDERS + 1
    with mpmath.workdps(40):
        for k, values in enumerate(found):
            expected = [float(mpmath.diff(getattr(mpmath, name), u, k)) for u in places]
            np.testing.assert_allclose(values, expected, rtol=1e-13, atol=1e-15)


def _flat(theta):
    return np.concatenate([theta.W.ravel(), theta.a])


def _jacobian(descent, theta):
    """The gradients of f at each row, by central differences: (n, parameters)."""
    columns = []
    for k in range(theta.W.size + theta.a.size):
        ends = []
        for step in (1e-5, -1e-5):
            flat = _flat(theta)
            flat[k] += step
            W, a = flat[: theta.W.size].reshape(theta.W.shape), flat[theta.W.size :]
            ends.append(descent.outputs(parts.ShallowWeights(W, a)))
        columns.append((ends[0] - ends[1]) / 2e-5)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_kernels_are_products_of_gradients(name):
    random = np.random.default_rng(1)
    descent, theta = parts.ShallowDescent.drawn(name, 4, 5, 3, random)
    step = parts.ShallowWeights.drawn(4, 3, random)
    end, J = theta.moved(step, 0.3), _jacobian(descent, theta)
    np.testing.assert_allclose(
        descent.tangents(end, theta), _jacobian(descent, end) @ J.T, atol=1e-8
    )
    g = _flat(descent.step(theta, -1.0))
    np.testing.assert_allclose(g, J.T @ descent.error(theta), atol=1e-8)
    short = parts.ShallowWeights(1e-3 * step.W, 1e-3 * step.a)
    change = descent.outputs(theta.moved(short)) - descent.outputs(theta)
    terms = descent.terms(theta, short)
    np.testing.assert_allclose(terms[0], J @ _flat(short), atol=1e-10)
    for q in range(1, parts.ORDERS + 1):
        left = np.abs(change - sum(terms[:q])).max()
        assert left < 10 * 1e-3 ** (q + 1) + 1e-15
    simpson = (
        descent.tangents(theta, theta)
        + 4 * descent.tangents(theta.moved(short, 0.5), theta)
        + descent.tangents(theta.moved(short), theta)
    ) / 6
    found = descent.exact_kernel(theta, short, 8)
    np.testing.assert_allclose(found, simpson, rtol=0, atol=1e-10)


def test_new_rows_move_by_the_kernel_of_the_step():
    """At rows that are not descended on, and for steps so long that the loss rises."""
    random = np.random.default_rng(2)
    X, y = random.standard_normal((9, 4)), np.ones(9)
    theta = parts.ShallowWeights.drawn(12, 4, random)
    some, every = parts.ShallowDescent("erf", X[:6], y[:6]), parts.ShallowDescent("erf", X, y)
    for eta in (0.1, 10.0):
        step = some.step(theta, eta)
        change = every.outputs(theta.moved(step)) - every.outputs(theta)
        kernel = every.exact_kernel(theta, step, 40)[:, :6]
        np.testing.assert_allclose(-eta * kernel @ some.error(theta), change, atol=1e-11)


def test_wide_networks_have_the_ntk():
    random = np.random.default_rng(3)
    X, theta = random.standard_normal((4, 3)), parts.ShallowWeights.drawn(100_000, 3, random)
    for name in ("tanh", "erf"):
        found = parts.ShallowDescent(name, X, np.ones(4)).tangents(theta, theta)
        K = nc.NTK(name)(X)
        assert np.linalg.norm(found - K) < 0.02 * np.linalg.norm(K)
