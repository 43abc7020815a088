"""Kernels of recurrent networks: the recursion against the reference, known kernels and finite
networks; passes over sequences.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.tied_networks import TiedNetwork

import nc1fast as nc
from nc1fast.reference import recurrent_gram

VARIANCES = (1.7, 0.8, 0.3, 1.3)
BOTH = [nc.RecurrentNNGP(*VARIANCES), nc.RecurrentNTK(*VARIANCES)]
KERNELS = [*BOTH, nc.RecurrentNTK(), nc.RecurrentNNGP(2.0), nc.RecurrentNTK(2.0, 0.5, 0.0, 2.0)]


def _sequences(n, n_features=3, longest=7, seed=0):
    """Arrays of 1 to `longest` steps, and labels on which the last step depends a little."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    X = [rng.standard_normal((rng.integers(1, longest + 1), n_features)) for _ in range(n)]
    for x, label in zip(X, y, strict=True):
        x[-1] += 0.5 * label
    return X, y


def _close(found, expected, tolerance):
    """Whether entries agree relative to the roots of the diagonals."""
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert np.abs(found - expected).max() <= tolerance * scale.max()
    assert (np.abs(found - expected) / scale).max() <= tolerance


# The recursion


@pytest.mark.parametrize(
    ("kernel", "n_features"),
    [*((kernel, 3) for kernel in KERNELS), *((BOTH[1], m) for m in (1, 2, 200, 2100))],
)  # 2,100 features are beyond a block of the product
def test_the_recursion_as_it_is_written(kernel, n_features) -> None:
    X, _ = _sequences(70 if n_features == 3 else 5, n_features)
    _close(kernel(X), recurrent_gram(kernel, X), 1e-12)


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512", "amx"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_instruction_set(isa, dtype, monkeypatch) -> None:
    from nc1fast import _core

    if isa not in _core.isas():
        pytest.skip(f"this machine does not run {isa}")
    X, _ = _sequences(61)
    monkeypatch.setenv("NC1FAST_ISA", isa)
    for kernel in BOTH:
        tolerance = 1e-12 if dtype == "float64" else 1e-5
        _close(kernel(X, dtype=dtype), recurrent_gram(kernel, X), tolerance)


def test_one_step_is_the_kernel_of_one_hidden_layer() -> None:
    X = np.random.default_rng(1).standard_normal((60, 4))
    variances = {"weight_variance": (0.8, 1.3), "bias_variance": (0.3, 0.0)}
    for kernel, plain in zip(BOTH, (nc.NNGP, nc.NTK), strict=True):
        _close(kernel(X[:, None]), plain("relu", **variances)(X), 1e-12)
    sequences, _ = _sequences(20)  # without recurrent weights the last step alone counts
    last = np.array([x[-1] for x in sequences])
    expected = nc.NTK("relu", **variances)(last)
    _close(nc.RecurrentNTK(0.0, 0.8, 0.3, 1.3)(sequences), expected, 1e-12)


@pytest.mark.parametrize(("lengths", "seed"), [((4, 4), 0), ((3, 5), 1), ((1, 4), 2)])
def test_finite_networks_with_tied_weights(lengths, seed) -> None:
    """Means over 200 draws of width 300: within three standard errors, and a standard error of a
    few per cent.
    """
    rng = np.random.default_rng(seed)
    x, z = (rng.standard_normal((length, 3)) for length in lengths)
    draws = np.array([TiedNetwork(BOTH[1], 300, 3, rng).kernels(x, z) for _ in range(200)])
    mean, error = draws.mean(axis=0), draws.std(axis=0) / np.sqrt(len(draws))
    expected = [kernel([x], [z])[0, 0] for kernel in BOTH]
    assert (np.abs(mean - expected) <= 3 * error).all()
    assert (error < 0.05 * mean).all()


def test_equal_and_opposite_sequences() -> None:
    X, _ = _sequences(9)
    for kernel in (nc.RecurrentNTK(2.0), *BOTH):
        K = kernel(X, [x.copy() for x in X])
        assert np.array_equal(np.diag(K), kernel.diag(X))
        opposite = [-x for x in X]
        error = np.abs(kernel(X, opposite) - recurrent_gram(kernel, X, opposite))
        assert error.max() < 1e-7 * np.diag(K).max()
    one = [x[-1:] for x in X]  # without a bias nothing is left of opposite ones
    assert not nc.RecurrentNNGP()(one, [-x for x in one]).diagonal().any()


def test_nearly_equal_sequences_keep_their_angle() -> None:
    """1 - Theta_ij/Theta_ii is proportional to the angle of the sequences, down to 1e-7."""
    x = np.random.default_rng(3).standard_normal((1, 6, 4))
    direction = np.random.default_rng(4).standard_normal(x.shape)
    kernel = nc.RecurrentNTK(1.5, 1.0, 0.1)
    ratios = []
    for step in (1e-3, 1e-5):
        z = x + step * direction
        K = kernel(np.concatenate([x, z]))
        ratios.append((1 - K[0, 1] / np.sqrt(K[0, 0] * K[1, 1])) / step)
    assert ratios[0] == pytest.approx(ratios[1], rel=0.02)


def test_the_order_and_the_other_sequences_change_no_bit() -> None:
    X, y = _sequences(101, longest=9)
    order = np.random.default_rng(2).permutation(len(X))
    for kernel in BOTH:
        one = nc.collapse(X, y, kernel)
        other = nc.collapse([X[i] for i in order], y[order], kernel)
        assert abs(one.nc1 - other.nc1) <= one.error_bound + other.error_bound
        assert np.array_equal(one.nearest_center[order], other.nearest_center)
        for dtype in ("float64", "float32"):
            K = kernel(X, dtype=dtype, n_threads=1)
            assert np.array_equal(
                kernel([X[i] for i in order], dtype=dtype), K[np.ix_(order, order)]
            )
            assert np.array_equal(kernel(X[:7], X[40:], dtype=dtype, n_threads=3), K[:7, 40:])


# Passes


def test_a_pass_over_several_tiles() -> None:
    X, y = _sequences(700, 2, 3)
    seen = []
    results = nc.collapse(X, y, BOTH, convention="sample", progress=lambda *at: seen.append(at))
    again = nc.collapse(X, y, BOTH, convention="sample", n_threads=1, method="auto")
    for kernel, result, one in zip(BOTH, results, again, strict=True):
        assert result.nc1 == one.nc1
        assert np.array_equal(result.sums.block_sums, one.sums.block_sums)
        stored = nc.collapse(kernel(X), y, "precomputed", convention="sample")
        assert result.nc1 == pytest.approx(stored.nc1, rel=1e-10)
    assert seen[-1][0] == seen[-1][1] > 1


def test_results_are_blended() -> None:
    X, y = _sequences(60)
    mixed = nc.blend(nc.collapse(X, y, BOTH, convention="sample"), [0.25, 0.5])
    K = 0.25 * BOTH[0](X) + 0.5 * BOTH[1](X)
    stored = nc.collapse(K, y, "precomputed", convention="sample")
    assert mixed.nc1 == pytest.approx(stored.nc1, rel=1e-10)
    assert mixed.kernel == f"0.25 * {BOTH[0]!r} + 0.5 * {BOTH[1]!r}"


def test_sums_of_a_call_and_products() -> None:
    X, y = _sequences(75)
    kernel = BOTH[1]
    sums = nc.class_sums(X, y, kernel, statistics="sums")
    assert sums.row_sums is None
    K = kernel(X)
    assert sums.traces == pytest.approx([np.diag(K)[y == c].sum() for c in range(3)], rel=1e-12)
    V = np.random.default_rng(0).standard_normal((75, 2))
    product = kernel.matvec(X, V)
    assert product == pytest.approx(K @ V, rel=1e-10)
    assert np.array_equal(kernel.matvec(X, V, memory_limit=8 * 75 * 4, n_threads=1), product)
    assert kernel.matvec(X, V[:, 0], X[:5]) == pytest.approx(K[:5] @ V[:, 0], rel=1e-10)


# Sequences, and kernels as descriptions


def test_arrays_lists_and_lengths_are_the_same_sequences() -> None:
    rng = np.random.default_rng(6)
    A, lengths = rng.standard_normal((30, 5, 2)), rng.integers(1, 6, 30)
    listed = [a[:length] for a, length in zip(A, lengths, strict=True)]
    A[np.arange(5) >= lengths[:, None]] = np.nan  # padding is not looked at
    kernel = BOTH[1]
    K = kernel(listed)
    assert np.array_equal(kernel(A, lengths=lengths), K)
    assert np.array_equal(kernel(nc.Sequences(A, lengths)), K)
    assert np.array_equal(kernel(nc.Sequences(A, lengths), listed[:4]), K[:, :4])
    y = np.arange(30) % 2
    by_list = nc.collapse(listed, y, kernel)
    assert nc.collapse(nc.Sequences(A, lengths), y, kernel).nc1 == by_list.nc1
    whole = np.ones((4, 3, 2), dtype=np.int8) * np.arange(4)[:, None, None]
    assert np.array_equal(kernel(whole), kernel(list(whole.astype(float))))
    assert repr(nc.Sequences(A, lengths)).startswith("Sequences(30 of 1 to 5 steps of 2 features")


def test_steps_without_numbers_are_steps() -> None:
    """Zero steps at the beginning do nothing without a bias, and do something with one."""
    X, _ = _sequences(6)
    padded = [np.vstack([np.zeros((2, 3)), x]) for x in X]
    without, with_bias = nc.RecurrentNTK(1.5), nc.RecurrentNTK(1.5, 1.0, 0.2)
    _close(without(padded), without(X), 1e-12)
    assert (with_bias.diag(padded) > with_bias.diag(X) + 1e-3).all()
    _close(with_bias(padded), recurrent_gram(with_bias, padded), 1e-12)
    nothing = without([np.zeros((3, 2)), np.ones((2, 2))])
    assert nothing[0, 0] == nothing[0, 1] == 0 < nothing[1, 1]


def test_a_table_has_the_variances() -> None:
    X, y = _sequences(30)
    table = nc.to_table(nc.collapse(X, y, BOTH[0]))
    assert table["weight_variance"] == [VARIANCES[0]]


# Mistakes

GOOD = np.ones((4, 3, 2))
NAN = np.where(np.arange(24).reshape(4, 3, 2) == 14, np.nan, 1.0)
BAD_DATA = {
    "two dimensions": (np.ones((4, 3)), None, ValueError, "n_sequences, n_steps, n_features"),
    "no sequences": ([], None, ValueError, "at least one sequence"),
    "no steps": ([np.ones((2, 2)), np.ones((0, 2))], None, ValueError, r"X\[1\] must have shape"),
    "other features": ([np.ones((2, 2)), np.ones((2, 3))], None, ValueError, r"X\[1\] has 3"),
    "NaN": (NAN, None, ValueError, r"X\[2\]\[1, 0\] is nan"),
    "NaN in a list": (list(NAN), None, ValueError, r"X\[2\]\[1, 0\] is nan"),
    "text": ("X.npy", None, TypeError, "load it first"),
    "complex": (GOOD + 1j, None, TypeError, "real numbers"),
    "a number": (3, None, ValueError, "n_steps"),
    "lengths of a list": (list(GOOD), [1, 1, 1, 1], ValueError, "not to a list"),
    "lengths of Sequences": (nc.Sequences(GOOD), [1] * 4, ValueError, "has its own"),
    "too few lengths": (GOOD, [1, 2], ValueError, r"shape \(4,\)"),
    "length 0": (GOOD, [1, 0, 1, 1], ValueError, r"lengths\[1\] is 0"),
    "length 4": (GOOD, [1, 2, 3, 4], ValueError, "from 1 to 3"),
    "half lengths": (GOOD, [1.5, 2, 3, 3], TypeError, "integers"),
    "too large": (GOOD * 1e60, None, ValueError, r"out of range for RecurrentNTK.*1e\+-100"),
    "too small": (GOOD * 1e-60, None, ValueError, r"1e\+-100"),
    "subnormal": (GOOD * 5e-324, None, ValueError, "out of range"),
    "enormous": (GOOD * 1e300, None, ValueError, "too large or too small"),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_data_that_are_no_sequences(name) -> None:
    X, lengths, error, message = BAD_DATA[name]
    with pytest.raises(error, match=message):
        nc.RecurrentNTK()(X, lengths=lengths)
    if lengths is None:
        with pytest.raises(error, match=message):
            nc.collapse(X, [0, 1, 0, 1], nc.RecurrentNTK())
    elif not isinstance(X, nc.Sequences):
        with pytest.raises(error, match=message):
            nc.Sequences(X, lengths)


REFUSED = {
    "device": ("cuda", "device"),
    "executor": (object(), "executor"),
    "journal": ("j", "journal"),
    "dtype": ("mixed", "mixed"),
    "method": ("pairs", "not sequences"),
    "memory_limit": (10, "memory_limit"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_sequences_do_not_have(name, monkeypatch) -> None:
    monkeypatch.setattr(nc.cuda, "indices", lambda device: () if device == "cpu" else (0,))
    value, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        nc.collapse(GOOD, [0, 1, 0, 1], nc.RecurrentNTK(), **{name: value})


NTK, Y = nc.RecurrentNTK(), [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: NTK + nc.NTK("relu"), TypeError, "no sums, products and multiples"),
        (lambda: nc.NTK("relu") * NTK, TypeError, "no sums, products and multiples"),
        (lambda: 2.0 * NTK, TypeError, "no sums, products and multiples"),
        (lambda: NTK**2, TypeError, "no sums, products and multiples"),
        (lambda: nc.collapse(GOOD, Y, [NTK, nc.NTK("relu")]), ValueError, "cannot share a call"),
        (lambda: nc.class_sums(GOOD, Y, NTK, part=(0, 2)), ValueError, "part"),
        (lambda: nc.operator(NTK, np.ones((4, 2))), ValueError, "takes sequences"),
        (lambda: nc.RecurrentNTK(-1.0), ValueError, "weight_variance"),
        (lambda: NTK(GOOD, device="cuda"), ValueError, "CPU alone"),
        (lambda: NTK(GOOD, np.ones((1, 1, 3))), ValueError, "Z must have 2 features"),
        (lambda: nc.collapse(nc.Sequences(GOOD), Y, nc.NTK("relu")), TypeError, "Sequences"),
        (lambda: nc.collapse(GOOD, [0] * 4, NTK), ValueError, "at least two classes"),
        (lambda: nc.collapse(GOOD, [0, 1], NTK), ValueError, "y"),
    ],
)
def test_what_recurrent_kernels_are_not(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()
