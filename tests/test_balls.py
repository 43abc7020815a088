"""The referee in ball arithmetic against the one of mpmath, against neural-tangents, and every term
of the bound against it.
"""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from flint import arb, ctx
from mpmath import mp
from tests import ball_sums, balls, precise
from tests.adversary import verdict
from tests.adversary.drawing import ACTIVATIONS, problem
from tests.make_fixtures import DATA, golden_kernel

import nc1fast as nc
from nc1fast.core.activations import has_ntk
from nc1fast.metrics import CONVENTIONS

DIGITS = 120  # of mpmath; those of the angle of collinear rows are half as many
GOLDEN = np.load(DATA / "neural_tangents.npz")


def _kernels(activation, rng):
    """Every class and parametrization, of random depth and variances, with and without biases."""
    depth = int(rng.integers(2, 5))
    weights = tuple((rng.uniform(0.3, 2, depth) * (0.2 if activation == "exp" else 1)).tolist())
    biases = tuple((rng.uniform(0.05, 0.5, depth) * (rng.random(depth) < 0.6)).tolist())
    yield nc.NNGP(activation, depth, weights, biases)
    yield nc.ConjugateKernel(activation, depth, weights)
    if not has_ntk(activation):
        return
    yield nc.AdaptiveKernel(np.diag(rng.uniform(0.1, 1, 4)), activation)
    for train in (None, True, False):
        yield nc.NTK(activation, depth, weights, biases, train_bias=train)
        width = tuple(rng.integers(1, 99, depth - 1).tolist())
        yield nc.NTK(activation, depth, weights, biases, "standard", width, train)
    yield nc.NTK(activation, depth, weights)


def _rows(rng, n_features):
    """Nine rows, some of them equal, opposite and parallel; three classes."""
    X = rng.normal(size=(9, n_features))
    X[3], X[7], X[8] = X[2], -X[6], 2 * X[6]
    return X, np.repeat([0, 1, 2], [2, 3, 4])


def _mpf(ball: arb):
    """The centre of a ball, exactly."""
    mantissa, exponent = ball.mid().man_exp()
    return mp.ldexp(int(mantissa), int(exponent))


def _encloses(ball: arb, value) -> bool:
    """Whether a number of mpmath is in the ball, but for its own error."""
    return abs(_mpf(ball) - value) <= _mpf(ball.rad()) + mp.mpf(10) ** (-DIGITS // 2 + 5) * abs(
        value
    )


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_balls_enclose_extended_precision(activation):
    rng = np.random.default_rng(len(str(activation)))
    for kernel in _kernels(activation, rng):
        X, y = _rows(rng, 4)
        with mp.workdps(DIGITS):
            K = precise.gram(kernel, X)
            nc1, within, between = precise.collapse(K, y)
            truth = ball_sums.judge(kernel, X, y, "papyan")
            assert truth.decided
            assert _encloses(truth.nc1, nc1), kernel
            assert _encloses(truth.trace_within, within), kernel
            assert _encloses(truth.trace_between, between), kernel
            for ours, theirs in zip(truth.features.gram, K, strict=True):
                assert all(map(_encloses, ours, theirs)), kernel


@pytest.mark.parametrize(
    "activation", ["relu", "erf", "sign", "abs", "cos", nc.LeakyReLU(1.0)], ids=str
)
def test_structure_of_one_feature(activation):
    """Without a bias all rows are parallel: angles of exactly 0 and pi in every layer."""
    rng = np.random.default_rng(3)
    X, y = _rows(rng, 1)
    for depth in (2, 5):
        kernel = nc.NNGP(activation, depth, 1.3)
        truth = ball_sums.judge(kernel, X, y, "papyan")
        assert truth.decided
        with mp.workdps(DIGITS):
            assert _encloses(truth.nc1, precise.collapse(precise.gram(kernel, X), y)[0])


@pytest.mark.parametrize("entry", json.loads(str(GOLDEN["meta"])), ids=lambda entry: entry["key"])
def test_balls_agree_with_neural_tangents(entry):
    for kind, name in ((nc.NNGP, "nngp_xx"), (nc.NTK, "ntk_xx")):
        if kind is nc.NTK and entry["activation"] == "sign":
            continue
        K = balls.features(golden_kernel(entry, kind), GOLDEN["X"]).gram
        ours = np.array([[float(value) for value in row] for row in K])
        theirs = GOLDEN[f"{entry['key']}/{name}"]
        rooted = kind is nc.NTK and entry["activation"] in ("relu", "leaky_relu", "abs")
        tolerance = (2e-8 if rooted else 1e-13) * np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


def test_conventions_are_weights_of_traces():
    """Against the metrics of the library, on sums that need no digits."""
    X, y = _rows(np.random.default_rng(5), 4)
    y[:3] = 2
    kernel = nc.NNGP("gelu", bias_variance=0.1)
    for convention in CONVENTIONS:
        truth, found = (
            ball_sums.judge(kernel, X, y, convention),
            nc.collapse(X, y, kernel, convention=convention),
        )
        assert float(truth.trace_within) == pytest.approx(found.trace_within, rel=1e-12)
        assert float(truth.trace_between) == pytest.approx(found.trace_between, rel=1e-12)


def test_equal_features_have_no_spread():
    X = np.array([[1.0, 2.0], [-1.0, -2.0], [3.0, 1.0], [-3.0, -1.0]])
    truth = ball_sums.judge(nc.NTK("abs", 3), X, [0, 0, 1, 1], "papyan")
    assert truth.trace_within.is_zero()
    assert truth.trace_between > 0
    truth = ball_sums.judge(nc.NNGP("cos", 3, 1.0, 0.2), X, [0, 1, 0, 1], "papyan")
    assert truth.decided
    between_of_equal_means = ball_sums.judge(nc.NNGP("cos", 3), X, [0, 1, 0, 1], "papyan")
    assert between_of_equal_means.trace_between.is_zero()
    assert between_of_equal_means.nc1 is None


def test_every_term_of_the_bound():
    """Block sums, traces and within, each against its own bound, on a hundred small benign
    problems.
    """
    n, worst = 0, 0.0
    index = 0
    while n < 100:
        case = problem(index, seed=7)
        index += 1
        if case.family != "benign":
            continue
        X, y = case.data()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", nc.AccuracyWarning)
            result = nc.collapse(
                X, y, case.kernel_object(), convention=case.convention, dtype=case.dtype
            )
        truth = ball_sums.judge(case.kernel_object(), X, y, case.convention)
        before, ctx.prec = ctx.prec, truth.bits + 64
        ratio = verdict.sums_ratio(result.sums, truth.sums)
        found = verdict.compare(result, truth)
        ctx.prec = before
        assert ratio <= 1, case
        assert found.status in ("ok", "infinite"), f"{case!r}: {found}"
        worst, n = max(worst, ratio), n + 1
    assert worst > 1e-3  # the bounds are of use: some error comes near
