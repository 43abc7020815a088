"""The released code's erf NTK: its formula entry by entry, its published numbers, its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.compat import released

# NC1 of D1, mean of three data sets: N, d0, NNGP, erf NTK by its definition, erf NTK of the
# released code (float32).
D1 = [
    (128, 1, 0.00823, 0.0328, 0.0117),
    (128, 8, 0.0922, 0.1829, 0.0901),
    (128, 128, 0.1036, 0.2076, 0.1007),
    (512, 8, 0.0940, 0.1878, 0.0929),
    (1024, 1, 0.00896, 0.0324, 0.0102),
    (1024, 2, 0.0561, 0.1115, 0.0563),
    (1024, 32, 0.1030, 0.2063, 0.1019),
    (1024, 128, 0.1058, 0.2126, 0.1047),
]


def nc1_of_d1(N: int, d0: int, seed: int) -> tuple[float, float, float]:
    """NC1 of the erf NNGP, of its NTK, and of the NTK as the released code has it."""
    X, y = nc.datasets.paper_d1(N, d0, seed)
    nngp, ntk = nc.collapse(X, y, [nc.NNGP("erf"), nc.NTK("erf")], statistics="sums")
    K = released.erf_ntk(X)
    settings = {"convention": released.CONVENTION, "statistics": "sums"}
    return nngp.nc1, ntk.nc1, nc.collapse(K, y, "precomputed", **settings).nc1


@pytest.mark.parametrize(("N", "d0", "nngp", "ntk", "code"), D1)
def test_nc1_of_d1_by_definition_and_by_the_released_code(N, d0, nngp, ntk, code):
    values = np.array([nc1_of_d1(N, d0, seed) for seed in range(6)])
    expected = np.array([nngp, ntk, code])
    # the expectation is a mean of 3 data sets, this one of 6
    error = values.std(axis=0, ddof=1) * math.sqrt(1 / 3 + 1 / 6)
    assert (np.abs(values.mean(axis=0) - expected) <= 4 * error + 0.5e-4).all()
    assert (error < 0.2 * expected).all()  # so that the line above says something


def test_entries_follow_the_formula():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(7, 3))
    sw2, sb2 = 1.3, 0.2
    k = [[sb2 + sw2 * sum(a * b for a, b in zip(x, z, strict=True)) / 3 for z in X] for x in X]
    scalar = sum((1 + 2 * k[i][i]) ** 2 for i in range(7))
    K = released.erf_ntk(X, weight_variance=sw2, bias_variance=sb2)
    for i in range(7):
        for j in range(7):
            norm = math.sqrt((1 + 2 * k[i][i]) * (1 + 2 * k[j][j]))
            Q = 2 / math.pi * math.asin(2 * k[i][j] / norm)
            kdot = 4 / math.pi / math.sqrt(scalar - 4 * k[i][j] ** 2)
            assert K[i, j] == pytest.approx(sb2 + sw2 * (Q + k[i][j] * kdot), rel=1e-13)


def test_the_matrix_is_symmetric_and_each_row_changes_all_of_it():
    X, _ = nc.datasets.paper_d1(64, 5, 0)
    before = X.copy()
    K = released.erf_ntk(X)
    assert K.dtype == np.float64
    assert np.array_equal(K, K.T)
    assert np.array_equal(X, before)
    assert (K[:-1, :-1] != released.erf_ntk(X[:-1])).all()
    one = released.erf_ntk(X[:1])[0, 0]  # the sum over rows is the product that belongs there
    assert one == pytest.approx(nc.NTK("erf")(X[:1])[0, 0], rel=1e-14)


@pytest.mark.parametrize(
    ("X", "settings", "error", "message"),
    [
        (np.zeros(3), {}, ValueError, "shape"),
        (np.zeros((0, 3)), {}, ValueError, "shape"),
        (np.zeros((3, 0)), {}, ValueError, "shape"),
        ([[1.0, math.nan]], {}, ValueError, "finite"),
        ([[1.0, math.inf]], {}, ValueError, "finite"),
        ([[1e80, 1e80]], {}, ValueError, "too large"),
        ([[1j]], {}, TypeError, "real"),
        ([["a"]], {}, TypeError, "real"),
        ([[1.0]], {"weight_variance": -1.0}, ValueError, "weight_variance"),
        ([[1.0]], {"weight_variance": math.nan}, ValueError, "weight_variance"),
        ([[1.0]], {"bias_variance": math.inf}, ValueError, "bias_variance"),
    ],
)
def test_malformed_calls(X, settings, error, message):
    with pytest.raises(error, match=message):
        released.erf_ntk(X, **settings)


# --- what docs/differences.md says beside


ERF, RELU = ((nc.NNGP(name), nc.NTK(name)) for name in ("erf", "relu"))
COUNTER = [  # means, std, d0: NC1(NTK) < NC1(NNGP) for erf
    ((-2.4, -0.93), 0.056, 8, 0.0648, 0.0343),
    ((0.15, 5.15), 0.066, 32, 0.0180, 0.0138),
    ((-5.38, -4.91, -3.62, -1.15), 0.555, 2, 1.458, 1.008),
    ((0, 2.93), 0.104, 1, 0.0331, 0.0211),
]


def _expected(kernels, means, d0, std=0.5):
    results = (nc.theory.expected_collapse(k, means, std, n_features=d0) for k in kernels)
    return [result.nc1 for result in results]


@pytest.mark.parametrize(("means", "std", "d0", "nngp", "ntk"), COUNTER)
def test_some_mixtures_have_an_erf_ntk_below_the_nngp(means, std, d0, nngp, ntk):
    expected = _expected((*ERF, *RELU), means, d0, std)
    assert expected[:2] == pytest.approx([nngp, ntk], rel=5e-3)
    assert expected[3] >= expected[2] * (1 - 1e-9)  # never with ReLU


@pytest.mark.parametrize("mean", [0.5, 1, 2, 4, 8])
def test_symmetric_pairs_have_an_ntk_above_the_nngp(mean):
    for kernels in (ERF, RELU):
        nngp, ntk = _expected(kernels, (-mean, mean), 8)
        assert ntk > nngp


@pytest.mark.parametrize(
    ("means", "d0", "erf_is_lower"),
    [
        ((-2, 2), 128, True),
        ((-4, 4), 8, False),
        ((-8, 8), 8, False),
        ((-6, -2, 2, 6), 1, True),
        ((-6, -2, 2, 6), 128, False),
    ],
)
def test_whether_erf_is_below_relu_depends_on_the_data(means, d0, erf_is_lower):
    erf, relu = _expected((ERF[0], RELU[0]), means, d0)
    assert (erf < relu) == erf_is_lower


@pytest.mark.parametrize("sizes", [(1024, 1024), (768, 1280), (512, 1536), (256, 1792)])
def test_kernel_formula_over_network_probe_is_a_function_of_the_sizes(sizes):
    X, y = nc.datasets.gaussian_mixture((-2, 2), 0.5, sizes, n_features=128, seed=0)
    result = nc.collapse(X, y, nc.NNGP("erf"), convention="papyan", statistics="sums")
    nc1 = {name: result.under(name).nc1 for name in ("papyan", "probe", "released")}
    n1, n2 = sizes
    ratio = (n1 * n1 + n2 * n2) / (2 * n1 * n2)
    assert nc1["released"] / nc1["probe"] == pytest.approx(ratio, rel=0.01)
    assert nc1["papyan"] == pytest.approx(0.1057, rel=0.01)  # does not move
    if n1 < n2:
        assert nc1["probe"] < nc1["papyan"] < nc1["released"]


def float32_nc1(X, y):
    """NC1 of the ReLU NNGP in float32: arccos of clipped ratios, sums minus sums."""
    X = X.astype(np.float32)
    n = len(X)
    k = X @ X.T / np.float32(X.shape[1])
    r = np.sqrt(np.diagonal(k))
    theta = np.arccos(np.clip(k / np.outer(r, r), -1, 1))
    K = np.outer(r, r) * (np.sin(theta) + (np.float32(np.pi) - theta) * np.cos(theta))
    within = np.mean([K[np.ix_(y == c, y == c)].mean() for c in np.unique(y)])
    return (np.trace(K) / n - within) / (within - K.mean())


def test_float32_sums_lose_a_collapsed_nc1_and_leave_values_without_a_logarithm():
    """The mean logarithm of the values that have one is then far from the truth."""
    values, truth = [], []
    for seed in range(12):
        X, y = nc.datasets.gaussian_mixture((-2, 2), 1e-4, (128, 128), n_features=8, seed=seed)
        values.append(float32_nc1(X, y))
        truth.append(nc.collapse(X, y, nc.NNGP("relu"), statistics="sums").nc1)
    kept = [value for value in values if value > 0]
    assert len(kept) < len(values)
    assert max(truth) < 1e-8
    assert not kept or np.mean(np.log(kept)) > np.mean(np.log(truth)) + 1


def test_loss_of_a_perfect_fit_is_two_when_targets_and_predictions_broadcast():
    y = np.repeat([-1.0, 1.0], 8)
    fitted = y[:, None]  # (N, 1) against (N,)
    assert np.mean((y - fitted) ** 2) == 2.0
    assert np.mean((y[:, None] - fitted) ** 2) == 0.0


def test_the_inverse_of_the_adaptive_kernel_keeps_three_digits_in_float32():
    X, _ = nc.datasets.paper_d1(512, 8, 0)
    A = nc.ConjugateKernel("erf")(X) / 128 + 1e-6 * np.eye(512)
    single = np.linalg.inv(A.astype(np.float32)).astype(np.float64)
    double = np.linalg.inv(A)
    assert np.abs(double @ A - np.eye(512)).max() < 1e-7
    assert np.linalg.norm(single - double) > 5e-4 * np.linalg.norm(double)


# NC1 of D1, N = 512, erf: d0, NNGP, NTK in NTK parametrization, NTK of the published network.
OWN = [
    (1, 0.0068, 0.0264, 0.0073),
    (2, 0.0563, 0.1110, 0.0589),
    (8, 0.0929, 0.1844, 0.1069),
    (32, 0.1019, 0.2041, 0.1492),
    (128, 0.1045, 0.2098, 0.2098),
]


@pytest.mark.parametrize(("d0", "nngp", "ntk", "own"), OWN)
def test_the_ntk_of_the_published_network_is_another(d0, nngp, ntk, own):
    variances = (1.0, 1.97**2)
    standard = nc.NTK("erf", weight_variance=variances, parametrization="standard", width=500)
    kernels = [nc.NNGP("erf"), nc.NTK("erf"), standard]
    values = [
        [r.nc1 for r in nc.collapse(*nc.datasets.paper_d1(512, d0, seed), kernels)]
        for seed in range(5)
    ]
    ratios = np.array(values)[:, 1:] / np.array(values)[:, :1]  # they scatter less than the values
    assert ratios.mean(axis=0) == pytest.approx([ntk / nngp, own / nngp], rel=0.1)


def test_trace_bounds_hold_but_leave_tr_sigma_b_open():
    """Tr Sigma_W <= Tr K/N - mean of lambda_min(K_c)/n_c; Tr Sigma_B >= (N-1)/N lambda_min(K) minus
    that.
    """
    for d0 in (1, 8, 128):
        X, y = nc.datasets.paper_d1(128, d0, 0)
        K = nc.NNGP("erf")(X)
        smallest = [np.linalg.eigvalsh(K[np.ix_(y == c, y == c)])[0] / 64 for c in np.unique(y)]
        upper = np.trace(K) / 128 - np.mean(smallest)
        lower = 127 / 128 * np.linalg.eigvalsh(K)[0] - upper
        result = nc.collapse(X, y, nc.NNGP("erf"))
        assert result.trace_within <= upper
        assert lower < 0 < result.trace_between  # so the bound on NC1 is empty
