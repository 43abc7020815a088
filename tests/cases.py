"""Kernels of every kind, precisions, rows of imbalanced classes, and the bits that a pass over them
gives.
"""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import nc1fast as nc

KERNELS = {
    "linear": nc.Linear(1.3, 0.2),
    "nngp-relu": nc.NNGP("relu"),
    "ntk-relu": nc.NTK("relu", bias_variance=0.1),
    "nngp-erf": nc.NNGP("erf", bias_variance=0.2),
    "ntk-erf": nc.NTK("erf"),
    "deep-relu": nc.NNGP("relu", depth=4, weight_variance=2.0),
    "deep-ntk-gelu": nc.NTK("gelu", depth=3, weight_variance=(1.5, 1.2, 0.9), bias_variance=0.1),
    "conjugate-exp": nc.ConjugateKernel("exp"),
    "standard-sin": nc.NTK("sin", parametrization="standard", width=100),
}
SIZES = (3, 601, 97, 1, 998)  # 1,700 rows: beyond the size below which one thread does all
FEW = (3, 301, 97, 1, 398)  # 800 rows
DTYPES = ("float64", "float32", "mixed")
each_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def data(sizes=SIZES, n_features=7, seed=0):
    """Imbalanced classes of unequal norms in random row order, with a duplicate and an antipode."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    X = rng.normal(size=(len(sizes), n_features))[y] + 0.3 * rng.normal(size=(len(y), n_features))
    X *= np.linspace(0.5, 1.5, len(sizes))[y, None]
    X[5], X[6] = X[4], -X[4]
    order = rng.permutation(len(y))
    return X[order], y[order]


def collapse(X, y, kernel, **settings):
    """`nc.collapse` with its statistics of single rows, without warnings about accuracy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nc.AccuracyWarning)
        keep_rows = settings.get("statistics", "all") == "all"
        return nc.collapse(X, y, kernel, convention="papyan", keep_rows=keep_rows, **settings)


def bits(result):
    """Everything the pass produced, and what was made of it, as bytes."""
    sums, parts = result.sums, {}
    for name in ("block_sums", "traces", "within", "class_rows"):
        value = getattr(sums, name)
        parts[name] = None if value is None else np.asarray(value).tobytes()
    for name in ("nc1", "trace_within", "trace_between", "nc1_pinv", "cdnv", "error_bound"):
        value = getattr(result, name)
        parts[name] = None if value is None else np.float64(value).tobytes()
    if result.nearest_center is not None:
        parts["nearest_center"] = np.asarray(result.nearest_center).tobytes()
    return parts


def assert_same_bits(first, second):
    """The same `bits` of two results."""
    first, second = bits(first), bits(second)
    assert [name for name in first if first[name] != second[name]] == []


def assert_agreement(first, second):
    """Within the bounds of both: NC1, sums of pairs of classes and D2 within classes."""
    assert abs(first.nc1 - second.nc1) <= first.error_bound + second.error_bound
    a, b = first.sums, second.sums
    for name in ("block_sums", "within"):
        bound = getattr(a.error, name) + getattr(b.error, name)
        assert (np.abs(getattr(a, name) - getattr(b, name)) <= bound).all(), name


def class_sums(X, y, kernels, **settings):
    """`nc.class_sums` without warnings about accuracy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nc.AccuracyWarning)
        return nc.class_sums(X, y, kernels, **settings)


def assert_same_sums(first, second):
    """The same bits of two lists of class sums, and of the same problems."""
    for a, b in zip(first, second, strict=True):
        for name in ("block_sums", "traces", "within", "class_rows"):
            x, z = getattr(a, name), getattr(b, name)
            assert (x is None) == (z is None), name
            assert x is None or x.tobytes() == z.tobytes(), (name, a.kernel)
        assert a.error.within.tobytes() == b.error.within.tobytes()
        assert a.exact.problem == b.exact.problem


def least_memory(X, y, kernels, **settings):
    """The smallest `memory_limit` of a pass in bytes, as its error message states it."""
    with pytest.raises(ValueError, match="at least") as error:
        class_sums(X, y, kernels, memory_limit=1, **settings)
    return int(re.search(r"at least (\d+)", str(error.value)).group(1))


def assert_both_of_rectifiers_keep_their_bits(sizes=FEW, **settings):
    """NNGP and NTK of one hidden layer in one pass, beside kernels of other chains and as leaves of
    one, and each alone.
    """
    X, y = data(sizes)
    other, deep = nc.NNGP("erf"), nc.NTK("relu", 3, 1.3)
    for activation in ("relu", "abs", nc.LeakyReLU(0.3)):
        for variances in ({}, {"weight_variance": 1.7, "bias_variance": 0.4}):
            nngp, ntk = nc.NNGP(activation, **variances), nc.NTK(activation, **variances)
            for kernels in ([nngp, ntk], [other, ntk, deep, nngp], [0.3 * nngp * ntk, ntk]):
                for dtype in ("float64", "float32"):
                    both = class_sums(X, y, kernels, dtype=dtype, **settings)
                    alone = [class_sums(X, y, k, dtype=dtype, **settings) for k in kernels]
                    assert_same_sums(both, alone)
