"""The same numbers in another container, and the same labels by other names, give the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from tests.cases import assert_same_bits, bits, collapse, data, each_dtype, each_kernel

import nc1fast as nc


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
