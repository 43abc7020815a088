"""Devices: agreement with the processor, the same bits for any division of the work, errors.

`other_device` is a CUDA device where there is one, and host threads that play two of them, on
smaller data.
"""

from __future__ import annotations

import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from tests import composites

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


def _data(sizes=(70, 5, 1, 29), n_features=7, seed=0):
    """Imbalanced classes in random order."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    means = rng.normal(size=(len(sizes), n_features))
    return means[y] + 0.5 * rng.normal(size=(len(y), n_features)), y


def _both(X, y, kernel, **settings):
    """On the processor and on the device."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nc.AccuracyWarning)
        settings = {"convention": "papyan", "keep_rows": True, **settings}
        return [nc.collapse(X, y, kernel, device=d, **settings) for d in ("cpu", "cuda")]


def _integers(sums):
    """What a pass computes, as bytes."""
    return [
        np.asarray(getattr(sums, name)).tobytes()
        for name in ("block_sums", "traces", "within", "class_rows")
    ]


def _same(first, second):
    assert _integers(first) == _integers(second)


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
        assert abs(here.nc1 - there.nc1) <= here.error_bound + there.error_bound
        a, b = here.sums, there.sums
        assert (
            np.abs(a.block_sums - b.block_sums) <= a.error.block_sums + b.error.block_sums
        ).all()
        assert (np.abs(a.within - b.within) <= a.error.within + b.error.within).all()
        largest = np.abs(b.class_rows).max()
        unit = RELATIVE["float64" if dtype == "float64" else "float32"]
        assert np.abs(a.class_rows - b.class_rows).max() <= unit * largest
        if X.shape[1] > 1 and dtype == "float64" and there.error_bound < 1e-12 * there.nc1:
            assert here.nc1 == pytest.approx(there.nc1, rel=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("other_device", ["cuda"], indirect=True)
@pytest.mark.parametrize("n_features", [1, 7, 128, 784])
@pytest.mark.parametrize("dtype", ["float64", "float32", "mixed"])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_sums_are_those_of_the_processor(activation, dtype, n_features, other_device):
    X, y = _data((700, 533, 1, 29, 200), n_features)
    _assert_agreement(X, y, _kernels(activation), dtype)


@pytest.mark.slow
@pytest.mark.parametrize("other_device", ["shim"], indirect=True)
@pytest.mark.parametrize(
    ("dtype", "n_features"), [("float64", 1), ("float64", 7), ("float32", 7), ("mixed", 7)]
)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_few_sums_are_those_of_the_processor(activation, dtype, n_features, other_device):
    """Two panels of one class, and classes of less than a panel."""
    X, y = _data((66, 5, 1), n_features)
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
    "chains": [nc.NNGP("relu"), nc.NTK("erf", 3, 1.2, 0.1), *nc.NTK("relu", 4).layers()[1:]],
    "composites": [
        *(composites.RELU, composites.KERNELS["formula"], composites.DEEP),
        composites.RELU * composites.ERF + composites.DEEP,
        *nc.NTK("gelu", 3).layers(),
        2.0 * composites.DEEP,
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kernels", DIVIDED.values(), ids=DIVIDED)
def test_bits_do_not_depend_on_neighbours_or_the_division_of_the_work(kernels, dtype, other_device):
    X, y = _data((70, 5, 66))
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
@pytest.mark.usefixtures("shim")
@pytest.mark.parametrize(
    ("kernel", "room"), [(nc.NTK("relu"), 190_000), (composites.ERF**2, 300_000)], ids=str
)
def test_rows_that_do_not_fit_into_a_device_go_there_in_blocks(kernel, room, monkeypatch):
    X, y = _data((200, 150, 140), 4)
    whole = nc.class_sums(X, y, kernel, device="cuda")
    monkeypatch.setenv("NC1FAST_SHIM_MEMORY", str(room))
    steps = []
    blocks = nc.class_sums(
        X, y, kernel, device="cuda", progress=lambda done, total: steps.append(total)
    )
    _same(blocks, whole)
    assert steps[-1] > 1
    monkeypatch.setenv("NC1FAST_SHIM_MEMORY", "60000")
    with pytest.raises(MemoryError, match=r"54000 bytes of a device are free .* \d+ are needed"):
        nc.class_sums(X, y, kernel, device="cuda")
    with pytest.raises(MemoryError, match=r"cuda:0 has \d+ bytes free of 60000, and \d+ more"):
        kernel(X, device="cuda")


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


@pytest.mark.parametrize("setting", [{"method": "features"}, {"method": "auto"}])
def test_a_device_belongs_to_the_exact_method(setting, other_device):
    X, y = _data()
    with pytest.raises(ValueError, match="device belong to method='exact'"):
        nc.collapse(X, y, nc.NNGP("relu"), device="cuda", **setting)


@pytest.mark.parametrize("kernel", [None, "precomputed", lambda A, B: A @ B.T])
def test_a_device_belongs_to_kernel_objects(kernel, other_device):
    with pytest.raises(ValueError, match="device need a kernel object"):
        nc.collapse(np.eye(4), [0, 0, 1, 1], kernel, device="cuda")
