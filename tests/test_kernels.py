"""What every kernel promises, of whatever kind: an exactly symmetric Gram matrix with an exact
diagonal, the metrics of that matrix from a pass that does not store it, bounds in lower precisions,
and values that survive files.
"""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from tests import cases, composites

import nc1fast as nc
from nc1fast import reference
from nc1fast.kernels import from_json, to_json

SIGMA = np.diag(np.linspace(0.5, 1.5, 6)) + 0.1
ERF, RELU = nc.AdaptiveKernel(SIGMA), nc.AdaptiveKernel(SIGMA, "relu")
SERIES = ("tanh", "sigmoid", "softplus", "silu", "elu", "selu", "hard_tanh", "relu6")
KERNELS = {
    **composites.KERNELS,
    "adaptive": ERF,
    "adaptive of one sigma": 0.5 * ERF * RELU + ERF**2,
    "threshold": nc.NTK(nc.ShiftedReLU(0.3), 3, 1.5, 0.1),
    "series combined": 0.5 * nc.NNGP("tanh") * nc.NTK("silu", 3) + nc.NNGP("relu"),
    **{f"{name} {L}": nc.NNGP(name, L, 1.2, 0.1) for name in SERIES for L in (2, 3)},
    "recurrent NNGP": nc.RecurrentNNGP(1.7, 0.8, 0.3, 1.3),
    "recurrent NTK": nc.RecurrentNTK(1.7, 0.8, 0.3, 1.3),
}
each_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)


def _data(kernel):
    """Rows, or sequences of 1 to 7 steps, of three classes of unequal sizes."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0, 1, 2], [40, 70, 50]))
    X = rng.normal(size=(3, 6))[y] + 0.4 * rng.normal(size=(160, 6))
    if not kernel.of_sequences:
        return X, y
    return [np.vstack([rng.normal(size=(rng.integers(7), 6)), x]) for x in X], y


@each_kernel
def test_a_gram_matrix_is_symmetric_with_the_exact_diagonal(kernel):
    X, _ = _data(kernel)
    K = kernel(X)
    assert np.array_equal(K, K.T)
    assert np.array_equal(K.diagonal(), kernel.diag(X))
    assert np.linalg.eigvalsh(K)[0] > -1e-12 * np.trace(K)
    scale = np.sqrt(np.outer(K.diagonal(), K.diagonal()))
    assert (np.abs(kernel(X, X[:30]) - K[:, :30]) <= 1e-13 * scale[:, :30]).all()
    if isinstance(kernel, nc.kernels.Composite):
        stored = composites.on_stored(kernel, lambda part: part(X))
        assert (np.abs(K - stored) <= 1e-13 * scale).all()
    single = kernel(X, dtype="float32")
    assert single.dtype == np.float32
    assert np.abs(single - K).max() <= 3e-4 * scale.max()  # the angle of a root: 1e-4


@each_kernel
def test_metrics_are_those_of_the_stored_gram_matrix(kernel):
    X, y = _data(kernel)
    result, K = cases.collapse(X, y, kernel), kernel(X)
    expected, sums = reference.collapse(K, y), reference.class_sums(K, y)
    for name in ("nc1", "trace_within", "trace_between", "nc1_pinv", "cdnv", "nc2_etf"):
        assert getattr(result, name) == pytest.approx(expected[name], rel=1e-9), name
    assert np.array_equal(result.nearest_center, expected["nearest_center"])
    np.testing.assert_allclose(result.sums.row_sums, sums["row_sums"], rtol=1e-10, atol=1e-12)
    assert result.error_bound > 0


@each_kernel
@pytest.mark.parametrize("dtype", ["float32", "mixed"])
def test_lower_precisions_stay_within_their_bounds(kernel, dtype):
    if kernel.of_sequences and dtype == "mixed":
        pytest.skip("sequences have no mixed precision")
    X, y = _data(kernel)
    exact, other = cases.collapse(X, y, kernel), cases.collapse(X, y, kernel, dtype=dtype)
    assert 0 < abs(other.nc1 - exact.nc1) <= other.error_bound + exact.error_bound
    assert other.nc1 == pytest.approx(exact.nc1, rel=1e-4)
    assert other.error_bound <= 0.1 * other.nc1 or kernel.of_sequences


@each_kernel
def test_kernels_are_values(kernel, tmp_path):
    again = pickle.loads(pickle.dumps(kernel))
    assert from_json(json.loads(json.dumps(to_json(kernel)))) == again == kernel
    assert hash(again) == hash(kernel)
    if "sigma" not in repr(kernel):
        assert eval(repr(kernel), {**vars(nc.kernels), **vars(nc)}) == kernel
    X, y = _data(kernel)
    assert nc.to_table(cases.collapse(X, y, kernel))["description"] == [repr(kernel)]
    whole = nc.class_sums(X, y, kernel)
    whole.save(tmp_path / "sums.npz")
    loaded = [nc.ClassSums.load(tmp_path / "sums.npz")]
    assert loaded[0].kernel == kernel
    if not kernel.of_sequences:
        parts = [nc.class_sums(X, y, kernel, part=(k, 3)) for k in range(3)]
        loaded.append(parts[2] + parts[0] + parts[1])
    for sums in loaded:
        assert np.array_equal(sums.block_sums, whole.block_sums)
        assert np.array_equal(sums.within, whole.within)
        assert np.array_equal(sums.error.within, whole.error.within)
