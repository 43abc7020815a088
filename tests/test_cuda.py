"""Devices: agreement with the processor, the same bits for any division of the work, errors.

`other_device` is a CUDA device where there is one, and host threads that play two of them, on
smaller data.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from tests import cases, composites, precise
from tests.gaussians import gaussians

import nc1fast as nc
from nc1fast import reference

NO_FINITE_NTK = ("sign", "step")
ACTIVATIONS = [*nc.activations(elementary=True), nc.LeakyReLU(0.3)]
RELATIVE = {"float64": 1e-13, "float32": 1e-6}  # of entries, to the largest, where t exceeds 1e-3


def _kernels(activation):
    """NNGP and NTK, depths 2, 3 and 6, with biases where an activation needs them, and small where
    it grows.
    """
    bias = 0.1 if activation in (*NO_FINITE_NTK, "relu2") else 0.0
    weight = 0.1 if activation in ("exp", "relu2") else 0.8
    depths = (2, 3) if weight < 0.8 else (2, 3, 6)
    kernels = [nc.NNGP(activation, depth, weight, bias) for depth in depths]
    if activation in NO_FINITE_NTK:
        return kernels
    return [*kernels, *(nc.NTK(activation, depth, weight, 0.1) for depth in depths)]


def _data(sizes=(70, 5, 1, 29), n_features=7):
    return gaussians(sizes, n_features)


def _both(X, y, kernel, **settings):
    """On the processor and on the device."""
    return [cases.collapse(X, y, kernel, device=d, **settings) for d in ("cpu", "cuda")]


def _same(first, second):
    cases.assert_same_sums([first], [second])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.slow
def test_entries_are_those_of_the_reference(activation, dtype, other_device):
    rng = np.random.default_rng(1)
    X, Z = rng.normal(size=(67, 7)), rng.normal(size=(9, 7))
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    assert (1 - np.abs(unit @ unit.T))[np.triu_indices(len(X), 1)].min() > 1e-3
    for kernel in _kernels(activation):
        K = kernel(X, dtype=dtype, device=other_device)
        exact = reference.gram(kernel, X)
        assert K.dtype == dtype
        assert np.array_equal(K, K.T)
        assert np.abs(K - exact).max() <= RELATIVE[dtype] * np.abs(exact).max()
        across = kernel(X, Z, dtype=dtype, device=other_device)
        exact = reference.gram(kernel, X, Z)
        assert np.abs(across - exact).max() <= RELATIVE[dtype] * np.abs(exact).max()


def _assert_agreement(X, y, kernels, dtype):
    for there, here in zip(*_both(X, y, kernels, dtype=dtype), strict=True):
        cases.assert_agreement(here, there)
        a, b = here.sums, there.sums
        largest = np.abs(b.class_rows).max()
        unit = RELATIVE["float64" if dtype == "float64" else "float32"]
        assert np.abs(a.class_rows - b.class_rows).max() <= unit * largest
        if X.shape[1] > 1 and dtype == "float64" and there.error_bound < 1e-12 * there.nc1:
            assert here.nc1 == pytest.approx(there.nc1, rel=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other_device", "dtype", "n_features"),
    [
        *(("cuda", dtype, d) for dtype in cases.DTYPES for d in (1, 7, 128, 784)),
        *(("shim", *case) for case in (("float64", 1), *((dtype, 7) for dtype in cases.DTYPES))),
    ],
    indirect=["other_device"],
)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_sums_are_those_of_the_processor(activation, dtype, n_features, other_device, request):
    """On the shim: two panels of one class, and classes of less than a panel."""
    few = request.node.callspec.params["other_device"] == "shim"
    X, y = _data((66, 5, 1) if few else (700, 533, 1, 29, 200), n_features)
    _assert_agreement(X, y, _kernels(activation), dtype)


ROOTED = [
    [nc.NTK("relu")],
    nc.NTK("relu", 4, 1.0, 0.1).layers(),
    [nc.NTK("abs", 3), nc.NNGP("relu"), nc.NTK(nc.LeakyReLU(0.3)), nc.NTK("relu")],
    [nc.NNGP("sign", 3, 1.0, 0.1)],
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kernels", ROOTED, ids=repr)
def test_errors_of_kernels_with_roots_are_those_of_the_processor(kernels, dtype, other_device):
    """Classes that begin within a panel, rows that are equal or opposite: the same but for inverse
    roots, and chords near 0.
    """
    X, y = _data((60, 9, 1, 20))
    X[4], X[7], X[11] = X[3], -X[6], 2 * X[3]
    here, there = (nc.class_sums(X, y, kernels, device=d, dtype=dtype) for d in ("cuda", "cpu"))
    for a, b in zip(here, there, strict=True):
        for of in ("block_sums", "within"):
            found, expected = getattr(a.error, of), getattr(b.error, of)
            assert expected.any()
            np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("std", [1e-2, 1e-6])
@pytest.mark.parametrize("kernel", [nc.NNGP("relu"), nc.NTK("relu"), nc.NTK("erf")], ids=repr)
def test_collapsed_features_keep_their_digits(kernel, std, other_device):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], (40, 30, 20))
    X = rng.normal(size=(3, 5))[y] + std * rng.normal(size=(90, 5))
    there, here = _both(X, y, kernel)
    assert here.nc1 == pytest.approx(there.nc1, rel=1e-12)
    assert 0 < here.nc1 < std


# The NTK of one hidden layer of rectifiers alone is a polynomial, and rounds in another order than
# as a layer of others. Beside chains: a plain kernel that is a leaf as well, two composites with a
# leaf in common.
DIVIDED = {
    "chains": ([nc.NNGP("relu"), nc.NTK("erf", 3, 1.2, 0.1), *nc.NTK("relu", 4).layers()[1:]], 7),
    "digits": ([nc.NNGP("relu"), nc.NTK("relu", 3)], 100),
    "composites": (
        [
            *(composites.RELU, composites.KERNELS["formula"], composites.DEEP),
            composites.RELU * composites.ERF + composites.DEEP,
            *nc.NTK("gelu", 3).layers(),
            2.0 * composites.DEEP,
        ],
        7,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("kernels", "n_features"), DIVIDED.values(), ids=DIVIDED)
def test_bits_do_not_depend_on_neighbours_or_the_division_of_the_work(
    kernels, n_features, dtype, other_device
):
    X, y = _data((70, 5, 66), n_features)
    settings = {"dtype": dtype}
    expected = nc.class_sums(X, y, kernels, device="cuda", **settings)
    every = nc.class_sums(X, y, kernels, device="cuda:all", n_threads=3, **settings)
    parts = [nc.class_sums(X, y, kernels, device="cuda", part=(i, 3), **settings) for i in range(3)]
    for k, sums in enumerate(expected):
        _same(every[k], sums)
        _same(parts[1][k] + parts[0][k] + parts[2][k], sums)
        _same(nc.class_sums(X, y, kernels[k], device="cuda", **settings), sums)
        there = nc.class_sums(X, y, kernels[k], **settings)
        bound = sums.error.block_sums + there.error.block_sums
        assert (np.abs(sums.block_sums - there.block_sums) <= bound).all()
    with ThreadPoolExecutor(2) as pool:
        shared = nc.class_sums(X, y, kernels[:1], device="cuda", executor=pool, **settings)
    _same(shared[0], expected[0])


def test_the_current_device_is_the_same_afterwards(shim):
    X, y = _data((40, 30), 3)
    assert shim.current_device() == 0
    nc.class_sums(X, y, nc.NNGP("relu"), device="cuda:1", n_threads=1)
    assert shim.device_info(1)["name"] == "host threads"
    nc.NNGP("relu")(X, device="cuda:1")
    assert shim.current_device() == 0

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nc.class_sums(X, y, nc.NNGP("relu"), device="cuda:1", progress=stop)
    assert shim.current_device() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "kernel", [nc.NNGP("erf"), composites.BIASED * composites.RELU], ids=["chain", "composite"]
)
def test_a_file_under_a_memory_limit_and_a_journal(kernel, other_device, tmp_path):
    X, y = _data((230, 90), 4)
    np.save(tmp_path / "X.npy", X)
    expected = nc.class_sums(X, y, kernel, device="cuda")
    limit = 3_700_000
    _same(nc.class_sums(tmp_path / "X.npy", y, kernel, device="cuda", memory_limit=limit), expected)
    path = tmp_path / "journal"
    for _ in range(2):
        _same(nc.class_sums(X, y, kernel, device="cuda", journal=path), expected)
    with pytest.raises(ValueError, match=r"isa: cuda \d+\.\d+ there"):
        nc.class_sums(X, y, kernel, journal=path)


@pytest.mark.parametrize("kernel", [nc.NNGP("relu"), composites.RELU * composites.GELU], ids=str)
def test_a_pass_on_a_device_can_be_stopped(kernel, other_device):
    X, y = _data()

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nc.collapse(X, y, kernel, device="cuda", convention="papyan", progress=stop)


@pytest.mark.parametrize(
    "kernel",
    [nc.NNGP("exp"), nc.NNGP("exp") + composites.ERF, (1e20 * nc.Linear()) ** 17],
    ids=["chain", "sum", "power"],
)
def test_overflow_is_the_error_it_is_on_the_processor(kernel, other_device):
    X = np.array([[400.0], [1.0], [2.0], [3.0]])
    for device in ("cpu", "cuda"):
        with pytest.raises(ValueError, match="out of range"):
            nc.collapse(X, [0, 0, 1, 1], kernel, device=device)


def test_device_info_and_the_command_line(other_device, call, tmp_path):
    info, named = nc.cuda.device_info(), nc.cuda.device_info("cuda:0")
    assert info == replace(named, free_memory=info.free_memory)  # others may take some meanwhile
    assert info.index == 0
    assert 0 < info.free_memory <= info.total_memory
    assert nc.cuda.available()
    X, y = _data()
    np.savez(tmp_path / "data.npz", X=X, y=y)
    code, out, _ = call(
        "collapse", tmp_path / "data.npz", "--device", "cuda", "--convention", "class"
    )
    assert code == 0
    assert re.search(r"^device +cuda$", out, re.MULTILINE)


@pytest.mark.slow
def test_doctor_checks_every_device(other_device, call):
    code, out, _ = call("doctor")
    assert code == 0
    assert re.search(r"^cuda:0 +\S.* \(\d+\.\d+\), \d+\.\d of \d+\.\d GiB free$", out, re.MULTILINE)
    checks = 25 * (1 + len(re.findall(r"^cuda:", out, re.MULTILINE)))
    assert f"{checks} of {checks} checks passed" in out


RELU = nc.NNGP("relu")


@pytest.mark.parametrize(
    ("kernel", "settings", "message"),
    [
        *(
            (RELU, {"method": method}, "belong to method='exact'")
            for method in ("features", "auto")
        ),
        *((k, {}, "need a kernel object") for k in (None, "precomputed", lambda A, B: A @ B.T)),
    ],
)
def test_a_device_belongs_to_kernels_and_the_exact_method(kernel, settings, message, other_device):
    with pytest.raises(ValueError, match=f"device {message}"):
        nc.collapse(np.eye(4), [0, 0, 1, 1], kernel, device="cuda", **settings)


# Kernels of one hidden layer of rectifiers: the NTK as one polynomial, alone and beside the NNGP


each_activation = pytest.mark.parametrize("activation", ["relu", "abs", nc.LeakyReLU(0.3)], ids=str)


@each_activation
@pytest.mark.parametrize(
    "variances", [{}, {"weight_variance": [0.01, 7.0], "bias_variance": [0.0, 3.0]}]
)
def test_tangent_kernels_alone_have_the_digits_of_their_closed_form(
    activation, variances, other_device
):
    kernel = nc.NTK(activation, depth=2, **variances)
    precise.assert_digits_at_every_angle(kernel, device=other_device)


@pytest.mark.parametrize("dtype", cases.DTYPES)
@each_activation
def test_their_sums_are_those_of_the_processor(activation, dtype, other_device):
    """One, or one twice: the same polynomial, and roots that differ in their last bits."""
    X, y = gaussians((66, 5, 1, 9), 7)
    for kernel in (nc.NTK(activation), nc.NTK(activation, 2, 0.8, 0.1)):
        for kernels in ([kernel], [kernel, kernel]):
            here, there = (
                cases.class_sums(X, y, kernels, device=device, dtype=dtype)
                for device in ("cuda", "cpu")
            )
            unit = 1e-13 if dtype == "float64" else 1e-6
            for a, b in zip(here, there, strict=True):
                for name in ("block_sums", "within", "class_rows"):
                    found, expected = getattr(a, name), getattr(b, name)
                    assert np.abs(found - expected).max() <= unit * np.abs(expected).max(), name


@pytest.mark.slow
def test_both_kernels_of_one_layer_have_the_bits_that_each_has_alone(other_device):
    cases.assert_both_of_rectifiers_keep_their_bits((3, 66, 1, 9), device="cuda")
