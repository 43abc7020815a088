"""The bounds on the errors of recurrent kernels: random problems that try to break them, judged in
extended precision.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.tied_networks import judged

import nc1fast as nc
from nc1fast.core.recurrent import block, diagonal
from nc1fast.inputs.sequences import Sequences

PROBLEMS = 300  # of each precision
JUDGE = 1e-17  # relative to sqrt(k_ii k_jj), beside roots: of a judge whose unit roundoff is 5e-20
LONG = np.finfo(np.longdouble).eps < 1e-18

pytestmark = pytest.mark.skipif(
    not LONG, reason="this machine has no extended precision to judge by"
)


def _changed(x, rng):
    """Another sequence that belongs to x: equal, nearly equal, opposite, scaled, or with another
    beginning or end.
    """
    near = 10.0 ** -rng.uniform(1, 17)
    kind = rng.integers(8)
    noise = near * rng.standard_normal(x.shape)
    before, last = (rng.standard_normal((n, x.shape[1])) for n in (rng.integers(1, 41), 1))
    return [
        x.copy(),
        x * (1 + noise),
        -x,
        -x + np.abs(x).max() * noise,
        x * 2.0 ** rng.integers(-9, 10),
        x[rng.integers(len(x)) :],
        np.vstack([before, x])[-40:],
        np.vstack([x[:-1], last]),
    ][kind]


def _problem(seed):
    """Kernel, sequences and labels."""
    rng = np.random.default_rng(seed)
    m = int(rng.choice([1, 2, 3, 8, 40]))
    longest = int(rng.choice([1, 2, 5, 12, 40]))
    X = []
    for _ in range(int(rng.integers(3, 7))):
        length = int(rng.choice([1, longest, rng.integers(1, longest + 1)]))
        x = rng.standard_normal((length, m))
        if rng.random() < 0.3:  # steps of very different size, some of them 0
            x *= 10.0 ** rng.uniform(-9, 9, (length, 1)) * (rng.random((length, 1)) < 0.8)
        X += [x, *(_changed(x, rng) for _ in range(rng.integers(3)))]
    scale = 10.0 ** rng.uniform(-9, 9) if rng.random() < 0.5 else 1.0
    X = [scale * x for x in X]
    values = 10.0 ** rng.uniform(-1.5, 1.5, 4)
    if rng.random() < 0.5:
        values[0] = 2.0
    values *= rng.random(4) > (0.05, 0.1, 0.5, 0.0)
    if rng.random() < 0.5:
        values[2] *= scale**2
    kind = nc.RecurrentNTK if rng.random() < 0.7 else nc.RecurrentNNGP
    y = np.arange(len(X)) % 2 if rng.random() < 0.5 else np.arange(len(X)) >= len(X) // 2
    return kind(*values.tolist()), X, y.astype(int)


def _entries_in_bound(kernel, X, single):
    """The largest error over its bound; None where values are out of range."""
    sequences = Sequences.of(X)
    try:
        K, E = block(kernel.recurrence, sequences, None, single=single, errors=True)
        k, e = diagonal(kernel.recurrence, sequences)
    except OverflowError:
        return None
    exact = judged(kernel, X)
    error = np.abs(K.astype(np.longdouble) - exact)
    roots = np.sqrt(np.diag(exact))
    slack = JUDGE * roots[:, None] * roots
    assert (error <= E + slack + 1e-9 * E).all(), (error - E).max()
    assert (np.abs(k - np.diag(exact)) <= e + np.diag(slack)).all()
    return float((error / np.where(E > 0, E, 1)).max())


@pytest.mark.parametrize("single", [False, True], ids=["float64", "float32"])
def test_no_error_of_an_entry_is_above_its_bound(single) -> None:
    shares = [_entries_in_bound(*_problem(seed)[:2], single) for seed in range(PROBLEMS)]
    judged_ones = [share for share in shares if share is not None]
    assert len(judged_ones) > (0.5 if single else 0.9) * PROBLEMS
    assert max(judged_ones) <= 1
    assert max(judged_ones) > 0.02  # nor is the bound a hundred times too large


@pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_no_error_of_a_sum_is_above_its_bound(dtype) -> None:
    decided, refused = 0, []
    for seed in range(1000, 1000 + PROBLEMS):
        kernel, X, y = _problem(seed)
        try:
            result = nc.collapse(X, y, kernel, convention="sample", dtype=dtype)
        except ValueError as error:
            refused.append(str(error))
            continue
        decided += bool(np.isfinite(result.error_bound))
        K = judged(kernel, X)
        within, between, blocks, traces = _sums_of(K, y)
        sums, bounds = result.sums, result.sums.error
        slack = 1e-15 * np.outer(traces, traces) ** 0.5 * len(y)
        assert (np.abs(sums.block_sums - blocks) <= bounds.block_sums + slack * 1e-2).all()
        assert (np.abs(sums.traces - traces) <= bounds.traces + 1e-17 * traces).all()
        if np.isfinite(result.error_bound):
            # The judge's own error, far below that of the pass.
            judge = 1e-2 * result.error_bound
            assert abs(result.nc1 - within / between) <= result.error_bound + judge
    assert decided > 0.4 * PROBLEMS
    assert all("out of range" in text or "0/0" in text for text in refused)


def _sums_of(K, y):
    """Tr Sigma_W, Tr Sigma_B under "sample", block sums and traces of a stored matrix."""
    rows = [np.flatnonzero(y == c) for c in range(2)]
    n = np.array([len(r) for r in rows], np.longdouble)
    blocks = np.array([[K[np.ix_(a, b)].sum() for b in rows] for a in rows])
    traces = np.array([np.diag(K)[r].sum() for r in rows])
    within = (traces - np.diag(blocks) / n).sum() / n.sum()
    means = blocks / np.outer(n, n)
    p = n / n.sum()
    between = (p * np.diag(means)).sum() - p @ means @ p
    return within, between, blocks, traces


@pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")
def test_the_bound_is_small_on_plain_data() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((90, 12, 5)), np.arange(90) % 3
    X[:, -1] += y[:, None]
    limits = {"float64": (1e-10, 1e-9), "float32": (1e-1, 1.0)}
    for dtype, (nngp, ntk) in limits.items():
        first, second = nc.collapse(
            X, y, [nc.RecurrentNNGP(2.0), nc.RecurrentNTK(2.0)], dtype=dtype
        )
        assert 0 < first.error_bound < nngp * first.nc1
        assert 0 < second.error_bound < ntk * second.nc1
