"""Malformed calls: each gives an error that names the argument, and leaves nothing behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import nc1fast as nc

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
y = np.repeat([0, 1, 2], 4)
K = X @ X.T
RELU = nc.NNGP("relu")
Either = (ValueError, TypeError)


def _with(index: Any, value: float, array: np.ndarray = X) -> np.ndarray:
    changed = array.copy()
    changed[index] = value
    return changed


def _spoil(symmetric: np.ndarray) -> np.ndarray:
    changed = symmetric.copy()
    changed[0, 7] += 0.5
    return changed


# name: (call, error, pattern). A pattern is the argument's name as a word.
DATA = {
    "X with NaN": (
        lambda: nc.collapse(_with((3, 1), np.nan), y, RELU),
        ValueError,
        r"\bX\b.*(NaN|finite)",
    ),
    "X with Inf": (
        lambda: nc.collapse(_with((3, 1), np.inf), y, RELU),
        ValueError,
        r"\bX\b.*(Inf|finite)",
    ),
    "X with -Inf": (lambda: nc.collapse(_with((0, 0), -np.inf), y, RELU), ValueError, r"\bX\b"),
    "float32 X with NaN": (
        lambda: nc.collapse(np.float32(_with((11, 2), np.nan)), y, RELU, dtype="float32"),
        ValueError,
        r"\bX\b",
    ),
    "features with NaN": (lambda: nc.collapse(_with((3, 1), np.nan), y), ValueError, r"\b[XH]\b"),
    "X complex": (lambda: nc.collapse(X + 1j, y, RELU), Either, r"\bX\b.*complex"),
    "X object": (lambda: nc.collapse(X.astype(object), y, RELU), Either, r"\bX\b.*object"),
    "X of strings": (lambda: nc.collapse(X.astype(str), y, RELU), Either, r"\bX\b"),
    "X of dates": (lambda: nc.collapse(X.astype("M8[s]"), y, RELU), Either, r"\bX\b"),
    "X ragged": (lambda: nc.collapse([[1.0, 2.0], [3.0]], [0, 1], RELU), Either, r"\bX\b"),
    "X None": (lambda: nc.collapse(None, y, RELU), Either, r"\bX\b"),
    "X no file": (lambda: nc.collapse("data.npz", y, RELU), FileNotFoundError, r"\bX\b.*data"),
    "y no file": (lambda: nc.collapse(X, "y.npy", RELU), FileNotFoundError, r"\by\b.*npy"),
    "X a number": (lambda: nc.collapse(1.0, y, RELU), Either, r"\bX\b"),
    "X one-dimensional": (lambda: nc.collapse(X[:, 0], y, RELU), ValueError, r"\bX\b"),
    "X three-dimensional": (lambda: nc.collapse(X[None], y, RELU), ValueError, r"\bX\b"),
    "no rows": (lambda: nc.collapse(X[:0], y[:0], RELU), ValueError, r"\bX\b"),
    "no features": (lambda: nc.collapse(X[:, :0], y, RELU), ValueError, r"\bX\b"),
    "X too large to square": (lambda: nc.collapse(X * 1e200, y, RELU), ValueError, r"\bX\b"),
    "y too short": (lambda: nc.collapse(X, y[:-1], RELU), ValueError, r"\by\b"),
    "y too long": (lambda: nc.collapse(X, np.append(y, 0), RELU), ValueError, r"\by\b"),
    "y empty": (lambda: nc.collapse(X, [], RELU), ValueError, r"\by\b"),
    "y two-dimensional": (lambda: nc.collapse(X, y[:, None], RELU), ValueError, r"\by\b"),
    "y one-hot": (lambda: nc.collapse(X, np.eye(3)[y], RELU), ValueError, r"\by\b"),
    "y a number": (lambda: nc.collapse(X, 1, RELU), Either, r"\by\b"),
    "y None": (lambda: nc.collapse(X, None, RELU), Either, r"\by\b"),
    "y with NaN": (lambda: nc.collapse(X, _with(2, np.nan, y * 1.0), RELU), ValueError, r"\by\b"),
    "y not sortable": (lambda: nc.collapse(X, [None, 1, "a"] * 4, RELU), Either, r"\by\b"),
    "one class": (lambda: nc.collapse(X, np.zeros(12, int), RELU), ValueError, r"\by\b.*class"),
    "one class of features": (lambda: nc.collapse(X, np.zeros(12, int)), ValueError, r"class"),
    "nothing varies": (lambda: nc.collapse(np.ones((12, 3)), y, RELU), ValueError, r"trace|nc1"),
    "step with a zero row": (
        lambda: nc.collapse(_with(3, 0), y, nc.NNGP("step")),
        ValueError,
        r"bias_variance",
    ),
    "sign with a zero row": (
        lambda: nc.collapse(_with(3, 0), y, nc.NNGP("sign")),
        ValueError,
        r"bias_variance",
    ),
}
SETTINGS = {
    "unknown convention": (
        lambda: nc.collapse(X, y, RELU, convention="mine"),
        ValueError,
        r"convention",
    ),
    "convention a number": (lambda: nc.collapse(X, y, RELU, convention=1), Either, r"convention"),
    "unknown statistics": (
        lambda: nc.collapse(X, y, RELU, statistics="some"),
        ValueError,
        r"statistics",
    ),
    "statistics None": (lambda: nc.collapse(X, y, RELU, statistics=None), Either, r"statistics"),
    "unknown dtype": (lambda: nc.collapse(X, y, RELU, dtype="float16"), ValueError, r"dtype"),
    "dtype a number": (lambda: nc.collapse(X, y, RELU, dtype=64), Either, r"dtype"),
    "unknown method": (lambda: nc.collapse(X, y, RELU, method="sampled"), ValueError, r"method"),
    "method a number": (lambda: nc.collapse(X, y, RELU, method=3), ValueError, r"method"),
    "tolerance zero": (
        lambda: nc.collapse(X, y, RELU, method="pairs", tolerance=0),
        ValueError,
        r"tolerance",
    ),
    "tolerance a word": (
        lambda: nc.collapse(X, y, RELU, method="pairs", tolerance="1 %"),
        TypeError,
        r"tolerance",
    ),
    "seed negative": (
        lambda: nc.collapse(X, y, RELU, method="pairs", seed=-1),
        ValueError,
        r"seed",
    ),
    "journal of an estimate": (
        lambda: nc.collapse(X, y, RELU, method="pairs", journal="run.journal"),
        ValueError,
        r"journal",
    ),
    "features of a deep kernel": (
        lambda: nc.collapse(X, y, nc.NNGP("erf", 3), method="features"),
        ValueError,
        r"kernels.*erf",
    ),
    "features of an unknown dtype": (
        lambda: nc.estimators.features(X, y, RELU, dtype="float16"),
        ValueError,
        r"dtype",
    ),
    "features as an array of an unknown dtype": (
        lambda: nc.estimators.ntk_features(X, RELU, 64, dtype="mixed"),
        ValueError,
        r"dtype",
    ),
    "pairs of features": (lambda: nc.collapse(X, y, method="pairs"), TypeError, r"kernel"),
    "device of no index": (lambda: nc.collapse(X, y, RELU, device="cuda:x"), ValueError, r"device"),
    "device of a Gram matrix": (
        lambda: nc.collapse(K, y, "precomputed", device="abacus"),
        ValueError,
        r"device",
    ),
    "unknown device": (lambda: nc.collapse(X, y, RELU, device="abacus"), ValueError, r"device"),
    "executor without submit": (
        lambda: nc.collapse(X, y, RELU, executor=object()),
        TypeError,
        r"executor",
    ),
    "executor a class": (
        lambda: nc.collapse(X, y, RELU, executor=ThreadPoolExecutor),
        TypeError,
        r"executor",
    ),
    "executor for features": (
        lambda: nc.collapse(X, y, executor=ThreadPoolExecutor(1)),
        ValueError,
        r"executor.*kernel object",
    ),
    "journal no path": (lambda: nc.collapse(X, y, RELU, journal=3), TypeError, r"journal"),
    "journal of a callable": (
        lambda: nc.collapse(X, y, lambda a, b: a @ b.T, journal="run.journal"),
        ValueError,
        r"journal.*kernel object",
    ),
    "journal of a part": (
        lambda: nc.class_sums(X, y, RELU, part=(0, 2), journal="run.journal"),
        ValueError,
        r"part.*journal",
    ),
    "tolerance of exact sums": (
        lambda: nc.collapse(X, y, RELU, tolerance=1e-3),
        ValueError,
        r"tolerance",
    ),
    "no threads": (lambda: nc.collapse(X, y, RELU, n_threads=0), ValueError, r"n_threads"),
    "negative threads": (lambda: nc.collapse(X, y, RELU, n_threads=-2), ValueError, r"n_threads"),
    "half a thread": (lambda: nc.collapse(X, y, RELU, n_threads=1.5), Either, r"n_threads"),
    "threads a string": (lambda: nc.collapse(X, y, RELU, n_threads="all"), Either, r"n_threads"),
    "memory limit too small": (
        lambda: nc.collapse(X, y, RELU, memory_limit=8),
        ValueError,
        r"memory_limit.*\d",
    ),
    "memory limit negative": (
        lambda: nc.collapse(X, y, RELU, memory_limit=-1),
        ValueError,
        r"memory_limit",
    ),
    "memory limit a word": (
        lambda: nc.collapse(X, y, RELU, memory_limit="lots"),
        Either,
        r"memory_limit",
    ),
    "progress a word": (lambda: nc.collapse(X, y, RELU, progress="yes"), Either, r"progress"),
    "unknown argument": (lambda: nc.collapse(X, y, RELU, tile=8), TypeError, r"tile"),
    "settings by position": (lambda: nc.collapse(X, y, RELU, "papyan"), TypeError, r"positional"),
}
KERNELS = {
    "unknown kernel name": (lambda: nc.collapse(X, y, "nngp"), Either, r"kernel"),
    "kernel a number": (lambda: nc.collapse(X, y, 3), Either, r"kernel"),
    "kernel a dict": (lambda: nc.collapse(X, y, {"name": "nngp"}), Either, r"kernel"),
    "no kernels": (lambda: nc.collapse(X, y, []), ValueError, r"kernel"),
    "a list with a number": (lambda: nc.collapse(X, y, [RELU, 3]), Either, r"kernel"),  # type: ignore[list-item]
    "unknown activation": (lambda: nc.NNGP("swoosh"), ValueError, r"activation.*swoosh"),
    "activation in capitals": (lambda: nc.NTK("ReLU"), ValueError, r"activation.*ReLU"),
    "activation a function": (lambda: nc.NNGP(np.tanh), Either, r"activation"),
    "activation None": (lambda: nc.NNGP(None), Either, r"activation"),
    "slope a string": (lambda: nc.LeakyReLU("0.2"), Either, r"slope"),
    "slope NaN": (lambda: nc.LeakyReLU(float("nan")), ValueError, r"slope"),
    "NTK of step": (lambda: nc.NTK("step"), ValueError, r"'step'.*NTK"),
    "NTK of sign": (lambda: nc.NTK("sign", depth=3), ValueError, r"'sign'.*NTK"),
    "depth 1": (lambda: nc.NNGP("relu", depth=1), ValueError, r"depth"),
    "depth 0": (lambda: nc.ConjugateKernel("relu", depth=0), ValueError, r"depth"),
    "depth -3": (lambda: nc.NTK("relu", depth=-3), ValueError, r"depth"),
    "depth 2.5": (lambda: nc.NNGP("relu", depth=2.5), Either, r"depth"),
    "depth a bool": (lambda: nc.NNGP("relu", depth=True), Either, r"depth"),
    "depth a string": (lambda: nc.NNGP("relu", depth="2"), Either, r"depth"),
    "weight_variance negative": (
        lambda: nc.NNGP("relu", weight_variance=-1.0),
        ValueError,
        r"weight_variance",
    ),
    "weight_variance NaN": (
        lambda: nc.NTK("erf", weight_variance=np.nan),
        ValueError,
        r"weight_variance",
    ),
    "weight_variance subnormal": (
        lambda: nc.NNGP("erf", 2, 1e-320),
        ValueError,
        r"weight_variance",
    ),
    "weight_variance Inf": (lambda: nc.Linear(np.inf), ValueError, r"weight_variance"),
    "weight_variance a string": (lambda: nc.Linear("1"), Either, r"weight_variance"),
    "weight_variance too long": (
        lambda: nc.NNGP("relu", depth=2, weight_variance=(1, 1, 1)),
        ValueError,
        r"weight_variance",
    ),
    "bias_variance negative": (lambda: nc.Linear(1.0, -0.1), ValueError, r"bias_variance"),
    "bias_variance too short": (
        lambda: nc.NNGP("relu", depth=3, bias_variance=(0.1, 0.2)),
        ValueError,
        r"bias_variance",
    ),
    "a bias_variance of NaN": (
        lambda: nc.NNGP("relu", bias_variance=(0.0, np.nan)),
        ValueError,
        r"bias_variance",
    ),
    "unknown parametrization": (
        lambda: nc.NTK("relu", parametrization="mup"),
        ValueError,
        r"parametrization",
    ),
    "width missing": (lambda: nc.NTK("relu", parametrization="standard"), ValueError, r"width"),
    "width not wanted": (lambda: nc.NTK("relu", width=100), ValueError, r"width"),
    "width zero": (
        lambda: nc.NTK("relu", parametrization="standard", width=0),
        ValueError,
        r"width",
    ),
    "width too long": (
        lambda: nc.NTK("relu", parametrization="standard", width=(5, 5)),
        ValueError,
        r"width",
    ),
    "train_bias a string": (lambda: nc.NTK("relu", train_bias="yes"), Either, r"train_bias"),
}
GRAMS = {
    "not square": (lambda: nc.collapse(K[:, :-1], y, "precomputed"), ValueError, r"square"),
    "not symmetric": (lambda: nc.collapse(_spoil(K), y, "precomputed"), ValueError, r"symmetric"),
    "Gram with NaN": (
        lambda: nc.collapse(_with((5, 5), np.nan, K), y, "precomputed"),
        ValueError,
        r"NaN|finite",
    ),
    "Gram complex": (lambda: nc.collapse(K + 0j, y, "precomputed"), Either, r"complex"),
    "Gram and y differ": (
        lambda: nc.collapse(K, y[:-2], "precomputed"),
        ValueError,
        r"\b[Xy]\b.*1[02]",
    ),
    "callable of wrong shape": (
        lambda: nc.collapse(X, y, lambda a, b: a @ b.T[:, :-1]),
        ValueError,
        r"kernel.*shape",
    ),
    "callable of one number": (
        lambda: nc.collapse(X, y, lambda a, b: 1.0),
        Either,
        r"kernel.*shape",
    ),
    "callable of NaN": (
        lambda: nc.collapse(X, y, lambda a, b: a @ b.T * np.nan),
        ValueError,
        r"kernel.*(NaN|finite)",
    ),
    "callable of strings": (
        lambda: nc.collapse(X, y, lambda a, b: (a @ b.T).astype(str)),
        Either,
        r"kernel",
    ),
    "callable of None": (lambda: nc.collapse(X, y, lambda a, b: None), Either, r"kernel"),
    "Z of other width": (lambda: RELU(X, X[:, :2]), ValueError, r"\bZ\b"),
    "Z with NaN": (lambda: RELU(X, _with((0, 0), np.nan)), ValueError, r"\bZ\b"),
    "Z one-dimensional": (lambda: RELU(X, X[0]), ValueError, r"\bZ\b"),
    "Gram of NaN data": (lambda: RELU(_with((0, 0), np.nan)), ValueError, r"\bX\b"),
    "Gram of one dimension": (lambda: RELU(X[0]), ValueError, r"\bX\b"),
    "Gram in mixed": (lambda: RELU(X, dtype="mixed"), ValueError, r"dtype"),
    "Gram with no threads": (lambda: RELU(X, n_threads=0), ValueError, r"n_threads"),
    "diagonal of NaN data": (lambda: RELU.diag(_with((0, 0), np.nan)), ValueError, r"\bX\b"),
    "diagonal of no file": (lambda: RELU.diag("no-file"), FileNotFoundError, r"\bX\b"),
}
CALLS = {**DATA, **SETTINGS, **KERNELS, **GRAMS}


def test_at_least_sixty_malformed_calls_are_listed():
    assert len(CALLS) == sum(map(len, (DATA, SETTINGS, KERNELS, GRAMS)))
    assert len(CALLS) >= 60


@pytest.mark.parametrize("name", CALLS)
def test_malformed_call_names_its_argument(name):
    call, error, pattern = CALLS[name]
    with pytest.raises(error, match=f"(?s){pattern}"):
        call()


def test_an_error_in_a_callable_is_the_callers_own():
    def kernel(a, b):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        nc.collapse(X, y, kernel)


def test_an_error_in_progress_is_the_callers_own():
    def progress(done, total):
        raise KeyError("mine")

    many = np.repeat(X, 300, axis=0)  # long enough a pass to be reported on
    with pytest.raises(KeyError, match="mine"):
        nc.collapse(many, np.repeat(y, 300), RELU, progress=progress)


def test_failed_calls_leave_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = nc.collapse(X, y, RELU)
    for call, error, _ in CALLS.values():
        with pytest.raises(error):
            call()
    after = nc.collapse(X, y, RELU)
    assert before.nc1 == after.nc1
    np.testing.assert_array_equal(before.sums.block_sums, after.sums.block_sums)
    assert list(tmp_path.iterdir()) == []


def test_equal_means_give_infinity_and_a_warning():
    points = np.array([[1.0, 0.0], [-1.0, 0.0]] * 2)
    with pytest.warns(nc.AccuracyWarning):
        result = nc.collapse(points, [0, 0, 1, 1], nc.Linear())
    assert result.nc1 == np.inf
    assert result.trace_between == 0


def test_unequal_classes_without_a_convention_are_announced():
    with pytest.warns(UserWarning, match="convention"):
        nc.collapse(X, np.repeat([0, 1], (3, 9)), RELU)


@pytest.mark.parametrize("dtype", ["float64", "float32", "mixed"])
@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-30, 1e30, 1e100, 1e150, 1e300])
@pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")
def test_extreme_scales_are_right_or_refused(scale, dtype):
    """Bias-free ReLU is homogeneous: NC1 does not depend on the scale of the data."""
    expected = nc.collapse(X, y, RELU)
    try:
        result = nc.collapse(X * scale, y, RELU, dtype=dtype)
    except ValueError as error:
        refusal = str(error)
    else:
        assert abs(result.nc1 - expected.nc1) <= result.error_bound + expected.error_bound
        return
    assert "X" in refusal or "trace" in refusal
