"""What must not change the answer does not: to the bit where nothing but the schedule differs."""

from __future__ import annotations

import numpy as np
import pytest
from tests.cases import (
    KERNELS,
    assert_agreement,
    assert_same_bits,
    bits,
    collapse,
    data,
    each_dtype,
    each_kernel,
)

import nc1fast as nc
from nc1fast import _core

each_statistics = pytest.mark.parametrize("statistics", ["sums", "all"])


@each_statistics
@each_dtype
@each_kernel
def test_bits_do_not_depend_on_threads_or_tiles(kernel, dtype, statistics, monkeypatch):
    X, y = data()
    monkeypatch.delenv("NC1FAST_TILE_PANELS", raising=False)
    expected = collapse(X, y, kernel, dtype=dtype, statistics=statistics, n_threads=1)
    for panels in (4, 8, 16):
        monkeypatch.setenv("NC1FAST_TILE_PANELS", str(panels))
        for n_threads in (1, 2, 3, 8):
            result = collapse(X, y, kernel, dtype=dtype, statistics=statistics, n_threads=n_threads)
            assert_same_bits(result, expected)


PANELS = ("", " 7 ", "1000000000000000000000")  # beyond 64 there are no more


def test_bits_do_not_depend_on_the_panels_of_a_tile(monkeypatch):
    X, y = data((900, 511), 3)
    monkeypatch.delenv("NC1FAST_TILE_PANELS", raising=False)
    expected = collapse(X, y, nc.NNGP("relu"))
    for panels in (*range(65), *PANELS):
        monkeypatch.setenv("NC1FAST_TILE_PANELS", str(panels))
        assert_same_bits(collapse(X, y, nc.NNGP("relu")), expected)


@pytest.mark.slow
def test_nor_on_a_device(other_device, monkeypatch):
    X, y = data((70, 60), 3)
    monkeypatch.delenv("NC1FAST_TILE_PANELS", raising=False)
    expected = collapse(X, y, nc.NNGP("relu"), device=other_device)
    for panels in (1, 2, 64, *PANELS):
        monkeypatch.setenv("NC1FAST_TILE_PANELS", str(panels))
        assert_same_bits(collapse(X, y, nc.NNGP("relu"), device=other_device), expected)


@pytest.mark.slow
def test_tiles_of_a_device_are_no_larger_than_its_launches(other_device, monkeypatch):
    """Three panels of rows with 17 of columns; a launch takes 16."""
    X, y = data((192, 16 * 64 + 1), 1)
    monkeypatch.setattr("nc1fast.sums.streaming.part_of", lambda n, *_: [(0, 192, 192, n)])
    found = []
    for panels in ("16", "17", "64"):
        monkeypatch.setenv("NC1FAST_TILE_PANELS", panels)
        sums = nc.class_sums(X, y, nc.Linear(), statistics="sums", device=other_device)
        found.append(sums.block_sums[0, 1])
    assert found == [found[0]] * 3
    assert found[0] == pytest.approx(X[y == 0].sum() * X[y == 1].sum(), rel=1e-12)


@pytest.mark.parametrize("panels", ["-1", "two", "1.5", "0x10", "1e3"])
def test_a_number_of_panels_that_is_none(panels, monkeypatch):
    X, y = data((30, 20), 3)
    monkeypatch.setenv("NC1FAST_TILE_PANELS", panels)
    with pytest.raises(ValueError, match=f"NC1FAST_TILE_PANELS must be .*, got '{panels}'"):
        collapse(X, y, nc.NNGP("relu"))


@pytest.mark.skipif(len(_core.isas()) < 2, reason="this machine has one instruction set")
def test_a_pass_keeps_the_instruction_set_that_it_began_with(monkeypatch):
    X, y = data((400, 311), 3)
    monkeypatch.delenv("NC1FAST_ISA", raising=False)
    expected = nc.class_sums(X, y, nc.NTK("erf"), n_threads=2)
    sums = nc.class_sums(
        *(X, y, nc.NTK("erf")),
        n_threads=2,
        progress=lambda done, total: monkeypatch.setenv("NC1FAST_ISA", _core.isas()[0]),
    )
    assert _core.isa() == _core.isas()[0]
    assert np.array_equal(sums.block_sums, expected.block_sums)
    assert np.array_equal(sums.class_rows, expected.class_rows)


def test_row_sums_are_rounded_to_the_nearest_integer(small_device):
    """The sum with a class of one row is one value of the kernel: half a unit of 2^-61 of its bound
    off at most.
    """
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(1, 6)), rng.normal(size=(60, 6))])
    # Nearly orthogonal to the first:
    X[1:] -= np.outer(X[1:] @ X[0], X[0]) / (X[0] @ X[0]) * (1 - 2.0**-28)
    kernel = nc.Linear()
    sums = nc.class_sums(X, np.minimum(np.arange(61), 1), kernel, device=small_device)
    exact = kernel(X, device=small_device)[1:, 0]
    roots = np.sqrt(kernel.diag(X))
    unit = np.ldexp(1.0, np.frexp(1.01 * roots[1:])[1] + np.frexp(1.01 * roots[0])[1] - 61)
    off = (sums.row_sums[1:, 0] - exact) / unit
    assert np.abs(off).max() <= 0.5
    assert np.abs(off).max() > 0.25


@pytest.mark.parametrize("n_features", [1, 2, 64, 300])
def test_bits_do_not_depend_on_threads_for_any_width(n_features, monkeypatch):
    X, y = data((700, 611), n_features)
    expected = collapse(X, y, nc.NTK("relu"), n_threads=1)
    for panels, n_threads in ((4, 2), (16, 3)):
        monkeypatch.setenv("NC1FAST_TILE_PANELS", str(panels))
        assert_same_bits(collapse(X, y, nc.NTK("relu"), n_threads=n_threads), expected)


@each_dtype
@each_kernel
def test_statistics_sums_are_those_of_all(kernel, dtype, device):
    X, y = data()
    with_rows = bits(collapse(X, y, kernel, dtype=dtype, device=device))
    without = bits(collapse(X, y, kernel, dtype=dtype, statistics="sums", device=device))
    for name in ("block_sums", "traces", "within", "nc1", "trace_within", "trace_between"):
        assert with_rows[name] == without[name], name
    assert without["class_rows"] is None


@each_dtype
@each_kernel
def test_row_order_stays_within_the_bounds(kernel, dtype, device):
    X, y = data()
    first = collapse(X, y, kernel, dtype=dtype, device=device)
    order = np.random.default_rng(1).permutation(len(y))
    second = collapse(X[order], y[order], kernel, dtype=dtype, device=device)
    np.testing.assert_array_equal(first.sums.sizes, second.sums.sizes)
    assert_agreement(first, second)


@each_dtype
def test_a_list_of_kernels_gives_the_bits_of_single_calls(dtype, device):
    X, y = data((201, 302, 3))
    kernels = list(KERNELS.values())
    for kernel, result in zip(
        kernels, collapse(X, y, kernels, dtype=dtype, device=device), strict=True
    ):
        assert result.kernel == kernel
        assert_same_bits(result, collapse(X, y, kernel, dtype=dtype, device=device))


@each_dtype
@pytest.mark.parametrize(
    "kernel",
    [
        nc.NNGP("relu", depth=5, weight_variance=2.0),
        nc.NNGP("erf", depth=4, bias_variance=0.3),
        nc.NTK("relu", 4, (2.0, 1.5, 1.0, 0.5), (0.1, 0.2, 0.3, 0.4)),
        nc.NTK("gelu", depth=3, parametrization="standard", width=(30, 40)),
        nc.ConjugateKernel("sin", depth=4),
    ],
    ids=repr,
)
def test_layers_equal_single_kernels(kernel, dtype, device):
    X, y = data((101, 202, 3))
    layers = kernel.layers()
    assert [layer.depth for layer in layers] == list(range(2, kernel.depth + 1))
    for layer, result in zip(
        layers, collapse(X, y, layers, dtype=dtype, device=device), strict=True
    ):
        alone = collapse(X, y, layer, dtype=dtype, device=device)
        if layer.depth == 2:  # alone it has no loop over layers, and rounds in another order
            assert abs(result.nc1 - alone.nc1) <= result.error_bound + alone.error_bound
        else:
            assert_same_bits(result, alone)


@each_kernel
def test_gram_does_not_depend_on_threads_or_on_a_second_argument(kernel):
    X, _ = data((200, 103))
    K = kernel(X, n_threads=1)
    np.testing.assert_array_equal(kernel(X, n_threads=3), K)
    np.testing.assert_allclose(kernel(X, X.copy()), K, rtol=1e-13, atol=1e-13 * np.abs(K).max())


# --- the same numbers in another container, the same labels by other names


@each_kernel
def test_float32_data_are_upcast_exactly(kernel, device):
    X, y = data((201, 102))
    narrow = X.astype(np.float32)
    assert_same_bits(
        collapse(narrow, y, kernel, device=device),
        collapse(narrow.astype(np.float64), y, kernel, device=device),
    )


@pytest.mark.parametrize("kind", ["float16", "int8", "uint8", "int64"])
def test_narrow_types_are_widened_exactly(kind):
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1, 2], (30, 41, 22))
    X = (rng.integers(0, 100, (len(y), 6)) + y[:, None]).astype(kind)
    assert_same_bits(
        collapse(X, y, nc.NTK("erf")), collapse(X.astype(np.float64), y, nc.NTK("erf"))
    )


@each_dtype
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_layout_of_the_data_does_not_matter(kind, dtype, device):
    X, y = data((201, 102))
    X = X.astype(kind)
    kernel = nc.NTK("relu")
    expected = collapse(X, y, kernel, dtype=dtype, device=device)
    wide = np.full((2 * len(X), 3 * X.shape[1]), np.nan, dtype=kind)
    wide[::2, 1::3] = X
    swapped = X.astype(X.dtype.newbyteorder())
    read_only = X.copy()
    read_only.flags.writeable = False
    unaligned = np.frombuffer(b"-" + X.tobytes(), X.dtype, offset=1).reshape(X.shape)
    layouts = {
        "Fortran": np.asfortranarray(X),
        "strided": wide[::2, 1::3],
        "reversed": X[::-1, ::-1].copy()[::-1, ::-1],
        "byte order": swapped,
        "read-only": read_only,
        "unaligned": unaligned,
        "list": X.tolist() if kind == "float64" else X,
    }
    for name, other in layouts.items():
        assert bits(collapse(other, y, kernel, dtype=dtype, device=device)) == bits(expected), name


def test_torch_tensors_and_memory_maps_give_the_same_bits(tmp_path):
    X, y = data((201, 102))
    kernel = nc.NNGP("erf")
    expected = collapse(X, y, kernel)
    np.save(tmp_path / "X.npy", X)
    assert_same_bits(collapse(np.load(tmp_path / "X.npy", mmap_mode="r"), y, kernel), expected)
    torch = pytest.importorskip("torch", reason="torch tensors as input (extra: torch)")
    tensor = torch.from_numpy(X)
    for other in (tensor, tensor.clone().requires_grad_(), tensor.T.contiguous().T):
        assert_same_bits(collapse(other, torch.from_numpy(y), kernel), expected)
    half = tensor.to(torch.bfloat16)
    assert_same_bits(collapse(half, y, kernel), collapse(half.double().numpy(), y, kernel))


@pytest.mark.parametrize(
    "rename",
    [
        lambda y: y.astype(np.float64) - 2.5,
        lambda y: y.astype(np.int8),
        lambda y: y.astype(np.uint16),
        lambda y: np.array(["ant", "bee", "cat", "dog", "eel"])[y],
        lambda y: np.array(["ant", "bee", "cat", "dog", "eel"])[y].tolist(),
        lambda y: y * 1000 - 7,
    ],
    ids=["float", "int8", "uint16", "string", "list of strings", "gaps"],
)
def test_names_of_the_labels_do_not_matter(rename):
    X, y = data((31, 12, 50, 1, 7))
    expected = collapse(X, y, nc.NNGP("relu"))
    result = collapse(X, rename(y), nc.NNGP("relu"))
    assert_same_bits(result, expected)
    np.testing.assert_array_equal(result.labels, np.unique(rename(y)))


def test_inputs_are_left_alone():
    X, y = data((31, 12))
    before = X.copy(), y.copy()
    collapse(X, y, nc.NNGP("relu"), dtype="float32")
    nc.NNGP("relu")(X)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_one_feature_by_a_new_axis_is_rows_of_it():
    """The stride of x[:, None] along its only feature is 0."""
    x = np.random.default_rng(0).standard_normal(40)
    y = np.repeat([0, 1], 20)
    assert x[:, None].strides[1] == 0
    assert (
        nc.collapse(x[:, None], y, nc.NNGP("relu")).nc1
        == nc.collapse(x.reshape(-1, 1), y, nc.NNGP("relu")).nc1
    )
    np.testing.assert_array_equal(nc.NTK("erf")(x[:, None]), nc.NTK("erf")(x.reshape(-1, 1)))
