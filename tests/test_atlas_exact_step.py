"""The study of exact steps: its derivatives against mpmath, its kernels against gradients by
differences, its claims on made rows.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from tests import measure_rows as made

import nc1fast as nc
from nc1fast.studies.library.exact_step import STUDY, parts
from nc1fast.studies.library.exact_step.network import ORDERS, Shallow, ShallowWeights, derivatives
from nc1fast.studies.loading import parse

TINY = """
name: exact-step
title: tiny
repeats: 2
parts:
  - {part: orders, width: [16]}
  - {part: steps, width: [8, 32], points: [1, 12], steps: 5}
  - {part: nc1, d0: [8], n_samples: 32, repeats: 1}
"""


def _row(thing, quantity, value, repeat=0, **setting):
    return made.row(value, quantity, thing, repeat=repeat, **setting)


GOOD = {"slope": 0.0, "first": 1e-16, "exact": 1e-15, "ntk": 1e-2, "power": -1.0, "sum": 1e-15}


def _rows(n_repeats=6, **changed):
    """Rows of a study in which every claim holds, but for what is changed."""
    told, random, rows = GOOD | changed, np.random.default_rng(0), []
    for repeat in range(n_repeats):
        for eta in (0.02, 0.08):
            at = {"activation": "tanh", "width": 64, "eta": eta}
            for q in range(1, ORDERS + 1):
                size = eta ** (q + 1 + told["slope"]) * (1 + 1e-3 * random.standard_normal())
                rows.append(_row(parts.order(q), parts.RESIDUAL, size, repeat, **at))
        for width in (16, 64):
            at = {"activation": "tanh", "width": width}
            size = told["ntk"] * (width / 16) ** told["power"]
            size *= 1 + 1e-3 * random.standard_normal()
            rows += [
                _row(parts.NTK, parts.ERROR, size, repeat, **at),
                _row(parts.order(1), parts.FIRST, told["first"], repeat, **at),
                _row(parts.EXACT, parts.ERROR, 1e-3, repeat, **at, points=1),
                _row(parts.EXACT, parts.ERROR, told["exact"], repeat, **at, points=12),
                _row(parts.TRAINING, parts.ERROR, told["sum"], repeat, **at),
            ]
    return rows


def _verdicts(rows):
    return {claim.letter: claim.finding.verdict for claim in STUDY.claims(rows)}


@pytest.mark.parametrize(
    ("letter", "changed"),
    [
        ("ES1", {"slope": 0.2}),
        ("ES2", {"first": 1e-8}),
        ("ES3", {"exact": 1e-9}),
        ("ES4", {"ntk": 1e-13}),
        ("ES5", {"power": -0.1}),
        ("ES6", {"sum": 1e-9}),
    ],
)
def test_claims_hold_and_fail(letter, changed):
    assert set(_verdicts(_rows()).values()) == {"holds"}
    assert _verdicts(_rows(**changed))[letter] == "fails"
    assert _verdicts([])[letter] == "not comparable"
    few = _verdicts(_rows(3))[letter]
    assert few == ("too few" if letter in ("ES1", "ES5") else "holds")


def test_tiny():
    """Every trial succeeds with finite numbers; what is exact holds even so; both figures are
    drawn.
    """
    rows = [row for trial in parse(TINY).cells() for row in trial.compute().rows]
    assert {row["status"] for row in rows} == {"ok"}
    assert all(math.isfinite(row["value"]) for row in rows)
    found = _verdicts(rows)
    assert [found[f"ES{k}"] for k in (2, 3, 4, 6)] == ["holds"] * 4
    assert found["ES1"] == found["ES5"] == "too few"
    assert len({row["thing"] for row in rows if row["part"] == "nc1"}) == 3
    assert {d.name for d in STUDY.draw(rows, [])} == {"orders", "exact"}


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_derivatives(name):
    """Against mpmath's, by differences of many digits."""
    places = [-3.0, -0.7, 0.0, 0.2, 1.5]
    found = derivatives(name, np.array(places), ORDERS)
    assert len(found) == ORDERS + 1
    with mpmath.workdps(40):
        for k, values in enumerate(found):
            expected = [float(mpmath.diff(getattr(mpmath, name), u, k)) for u in places]
            np.testing.assert_allclose(values, expected, rtol=1e-13, atol=1e-15)


def _flat(theta):
    return np.concatenate([theta.W.ravel(), theta.a])


def _jacobian(net, theta, X):
    """The gradients of f at each row, by central differences: (n, parameters)."""
    columns = []
    for k in range(theta.W.size + theta.a.size):
        ends = []
        for step in (1e-5, -1e-5):
            flat = _flat(theta)
            flat[k] += step
            other = ShallowWeights(
                flat[: theta.W.size].reshape(theta.W.shape), flat[theta.W.size :]
            )
            ends.append(net.outputs(other, X))
        columns.append((ends[0] - ends[1]) / 2e-5)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_kernels_are_products_of_gradients(name):
    random, net = np.random.default_rng(1), Shallow(name)
    theta, step = (ShallowWeights.drawn(4, 3, random) for _ in range(2))
    X, Z, error = (
        random.standard_normal((5, 3)),
        random.standard_normal((2, 3)),
        random.standard_normal(5),
    )
    end = theta.moved(step, 0.3)
    J, other = _jacobian(net, end, X), _jacobian(net, theta, Z)
    np.testing.assert_allclose(net.tangents(end, X, theta, Z), J @ other.T, atol=1e-8)
    g = net.gradient(theta, X, error)
    np.testing.assert_allclose(_flat(g), _jacobian(net, theta, X).T @ error, atol=1e-8)
    short = ShallowWeights(1e-3 * step.W, 1e-3 * step.a)
    change = net.outputs(theta.moved(short), X) - net.outputs(theta, X)
    terms = net.terms(theta, short, X)
    np.testing.assert_allclose(terms[0], _jacobian(net, theta, X) @ _flat(short), atol=1e-10)
    for q in range(1, ORDERS + 1):
        left = np.abs(change - sum(terms[:q])).max()
        assert left < 10 * 1e-3 ** (q + 1) + 1e-15
    simpson = (
        net.tangents(theta, X, theta, Z)
        + 4 * net.tangents(theta.moved(short, 0.5), X, theta, Z)
        + net.tangents(theta.moved(short), X, theta, Z)
    ) / 6
    found = net.exact_kernel(theta, short, (X, Z), 8)
    np.testing.assert_allclose(found, simpson, rtol=0, atol=1e-10)


def test_new_rows_move_by_the_kernel_of_the_step():
    """At rows that are not descended on, and for steps so long that the loss rises."""
    random, net = np.random.default_rng(2), Shallow("erf")
    X, Z, y = random.standard_normal((6, 4)), random.standard_normal((3, 4)), np.ones(6)
    theta = ShallowWeights.drawn(12, 4, random)
    problem = parts._Problem(net, theta, X, y)
    for eta in (0.1, 10.0):
        step = problem.step(theta, eta)
        change = net.outputs(theta.moved(step), Z) - net.outputs(theta, Z)
        kernel = net.exact_kernel(theta, step, (Z, X), 40)
        np.testing.assert_allclose(-eta * kernel @ problem.error(theta), change, atol=1e-11)


def test_wide_networks_have_the_ntk():
    random = np.random.default_rng(3)
    X, theta = random.standard_normal((4, 3)), ShallowWeights.drawn(100_000, 3, random)
    for name in ("tanh", "erf"):
        K, found = nc.NTK(name)(X), Shallow(name).tangents(theta, X, theta, X)
        assert np.linalg.norm(found - K) < 0.02 * np.linalg.norm(K)
