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


def _with(index: Any, value: float, array: np.ndarray = X) -> np.ndarray:
    changed = array.copy()
    changed[index] = value
    return changed


def _spoil(symmetric: np.ndarray) -> np.ndarray:
    changed = symmetric.copy()
    changed[0, 7] += 0.5
    return changed


# Calls by the pattern of their message, which holds the name of the argument as a word.
WRONG_LABELS: list[Any] = [y[:-1], np.append(y, 0), [], y[:, None], np.eye(3)[y], 1, None]
WRONG_LABELS.append([None, 1, "a"] * 4)
MALFORMED = {
    r"\bX\b": (
        *(lambda x=x: nc.collapse(x, y, RELU) for x in (X[:, 0], X[None], X[:0], X[:, :0], None)),
        *(lambda x=x: nc.collapse(x, y, RELU) for x in (1.0, X.astype(str), X.astype("M8[s]"))),
        *(lambda x=x: nc.collapse(x, y, RELU) for x in (X * 1e200, _with((0, 0), -np.inf))),
        lambda: nc.collapse(_with((3, 1), np.nan), y),
        lambda: nc.collapse([[1.0, 2.0], [3.0]], [0, 1], RELU),
        lambda: nc.collapse(np.float32(_with((11, 2), np.nan)), y, RELU, dtype="float32"),
        lambda: nc.collapse("data.npz", y, RELU),
        lambda: RELU(_with((0, 0), np.nan)),
        lambda: RELU(X[0]),
        lambda: RELU.diag(_with((0, 0), np.nan)),
        lambda: RELU.diag("no-file"),
    ),
    r"\bX\b.*(NaN|Inf|finite)": (
        lambda: nc.collapse(_with((3, 1), np.nan), y, RELU),
        lambda: nc.collapse(_with((3, 1), np.inf), y, RELU),
    ),
    r"\bX\b.*complex": (lambda: nc.collapse(X + 1j, y, RELU),),
    r"\bX\b.*object": (lambda: nc.collapse(X.astype(object), y, RELU),),
    r"\by\b": (
        *(lambda v=v: nc.collapse(X, v, RELU) for v in WRONG_LABELS),
        lambda: nc.collapse(X, _with(2, np.nan, y * 1.0), RELU),
        lambda: nc.collapse(X, "y.npy", RELU),
    ),
    r"\by\b.*class": (
        lambda: nc.collapse(X, np.zeros(12, int), RELU),
        lambda: nc.collapse(X, np.zeros(12, int)),
    ),
    r"trace|nc1": (lambda: nc.collapse(np.ones((12, 3)), y, RELU),),
    r"bias_variance": (
        *(lambda n=n: nc.collapse(_with(3, 0), y, nc.NNGP(n)) for n in ("step", "sign")),
        lambda: nc.Linear(1.0, -0.1),
        lambda: nc.NNGP("relu", depth=3, bias_variance=(0.1, 0.2)),
        lambda: nc.NNGP("relu", bias_variance=(0.0, np.nan)),
    ),
    r"journal.*kernel object": (
        lambda: nc.collapse(X, y, lambda a, b: a @ b.T, journal="run.journal"),
    ),
    r"executor.*kernel object": (lambda: nc.collapse(X, y, executor=ThreadPoolExecutor(1)),),
    r"part.*journal": (lambda: nc.class_sums(X, y, RELU, part=(0, 2), journal="run.journal"),),
    r"kernels.*erf": (lambda: nc.collapse(X, y, nc.NNGP("erf", 3), method="features"),),
    r"dtype": (
        lambda: nc.estimators.features(X, y, RELU, dtype="float16"),
        lambda: nc.estimators.ntk_features(X, RELU, 64, dtype="mixed"),
        lambda: RELU(X, dtype="mixed"),
    ),
    r"n_threads": (lambda: RELU(X, n_threads=0),),
    r"device": (lambda: nc.collapse(K, y, "precomputed", device="abacus"),),
    r"positional": (lambda: nc.collapse(X, y, RELU, "papyan"),),
    r"tile": (lambda: nc.collapse(X, y, RELU, tile=8),),
    r"kernel": (
        *(lambda k=k: nc.collapse(X, y, k) for k in ("nngp", 3, {"name": "nngp"}, [], [RELU, 3])),
        lambda: nc.collapse(X, y, method="pairs"),
        lambda: nc.collapse(X, y, lambda a, b: (a @ b.T).astype(str)),
        lambda: nc.collapse(X, y, lambda a, b: None),
    ),
    r"kernel.*shape": (
        lambda: nc.collapse(X, y, lambda a, b: a @ b.T[:, :-1]),
        lambda: nc.collapse(X, y, lambda a, b: 1.0),
    ),
    r"kernel.*(NaN|finite)": (lambda: nc.collapse(X, y, lambda a, b: a @ b.T * np.nan),),
    r"activation.*(swoosh|ReLU)": (lambda: nc.NNGP("swoosh"), lambda: nc.NTK("ReLU")),
    r"activation": (lambda: nc.NNGP(np.tanh), lambda: nc.NNGP(None)),
    r"slope": (lambda: nc.LeakyReLU("0.2"), lambda: nc.LeakyReLU(float("nan"))),
    r"'(step|sign)'.*NTK": (lambda: nc.NTK("step"), lambda: nc.NTK("sign", depth=3)),
    r"depth": (
        *(lambda n=n: nc.NNGP("relu", depth=n) for n in (1, 2.5, True, "2")),
        lambda: nc.ConjugateKernel("relu", depth=0),
        lambda: nc.NTK("relu", depth=-3),
    ),
    r"weight_variance": (
        *(lambda v=v: nc.NNGP("relu", 2, v) for v in (-1.0, np.nan, 1e-320, (1, 1, 1))),
        *(lambda v=v: nc.Linear(v) for v in (np.inf, "1")),
    ),
    r"parametrization": (lambda: nc.NTK("relu", parametrization="mup"),),
    r"width": (
        lambda: nc.NTK("relu", width=100),
        *(
            lambda w=w: nc.NTK("relu", parametrization="standard", width=w)
            for w in (0, None, (5, 5))
        ),
    ),
    r"train_bias": (lambda: nc.NTK("relu", train_bias="yes"),),
    r"square": (lambda: nc.collapse(K[:, :-1], y, "precomputed"),),
    r"symmetric": (lambda: nc.collapse(_spoil(K), y, "precomputed"),),
    r"NaN|finite": (lambda: nc.collapse(_with((5, 5), np.nan, K), y, "precomputed"),),
    r"complex": (lambda: nc.collapse(K + 0j, y, "precomputed"),),
    r"\b[Xy]\b.*1[02]": (lambda: nc.collapse(K, y[:-2], "precomputed"),),
    r"\bZ\b": (
        lambda: RELU(X, X[:, :2]),
        lambda: RELU(X, _with((0, 0), np.nan)),
        lambda: RELU(X, X[0]),
    ),
}
# Keywords of `collapse`, each with values that are refused by its name.
SETTINGS = {
    "convention": ("mine", 1),
    "statistics": ("some", None),
    "dtype": ("float16", 64),
    "method": ("sampled", 3),
    "device": ("cuda:x", "abacus"),
    "executor": (object(), ThreadPoolExecutor),
    "journal": (3,),
    "tolerance": (1e-3,),
    "n_threads": (0, -2, 1.5, "all"),
    "memory_limit": (8, -1, "lots"),
    "progress": ("yes",),
}
OF_PAIRS = {"tolerance": (0, "1 %"), "seed": (-1,), "journal": ("run.journal",)}
CALLS = {
    **{f"{p} {i}": (call, p) for p, calls in MALFORMED.items() for i, call in enumerate(calls)},
    **{
        f"{method} {name} {i}": (
            lambda given={"method": method, name: value}: nc.collapse(X, y, RELU, **given),
            rf"\b{name}\b",
        )
        for method, settings in (("exact", SETTINGS), ("pairs", OF_PAIRS))
        for name, values in settings.items()
        for i, value in enumerate(values)
    },
}  # fmt: skip


def test_at_least_sixty_malformed_calls_are_listed():
    assert len(CALLS) >= 110


@pytest.mark.parametrize("name", CALLS)
def test_malformed_call_names_its_argument(name):
    call, pattern = CALLS[name]
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=f"(?s){pattern}"):
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
    for call, _ in CALLS.values():
        with pytest.raises((ValueError, TypeError, FileNotFoundError)):
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
