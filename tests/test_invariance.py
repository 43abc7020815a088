"""What must not change the answer does not: to the bit where nothing but the schedule differs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import _core

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
DTYPES = ("float64", "float32", "mixed")
each_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_statistics = pytest.mark.parametrize("statistics", ["sums", "all"])


def _data(sizes=SIZES, n_features=7, seed=0):
    """Imbalanced classes of unequal norms in random row order, with a duplicate and an antipode."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    X = rng.normal(size=(len(sizes), n_features))[y] + 0.3 * rng.normal(size=(len(y), n_features))
    X *= np.linspace(0.5, 1.5, len(sizes))[y, None]
    X[5], X[6] = X[4], -X[4]
    order = rng.permutation(len(y))
    return X[order], y[order]


def _collapse(X, y, kernel, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nc.AccuracyWarning)
        keep_rows = settings.get("statistics", "all") == "all"
        return nc.collapse(X, y, kernel, convention="papyan", keep_rows=keep_rows, **settings)


def _bits(result):
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


def _assert_same_bits(first, second):
    first, second = _bits(first), _bits(second)
    assert [name for name in first if first[name] != second[name]] == []


@each_statistics
@each_dtype
@each_kernel
def test_bits_do_not_depend_on_threads_or_tiles(kernel, dtype, statistics, monkeypatch):
    X, y = _data()
    monkeypatch.delenv("NC1FAST_TILE_PANELS", raising=False)
    expected = _collapse(X, y, kernel, dtype=dtype, statistics=statistics, n_threads=1)
    for panels in (4, 8, 16):
        monkeypatch.setenv("NC1FAST_TILE_PANELS", str(panels))
        for n_threads in (1, 2, 3, 8):
            result = _collapse(
                X, y, kernel, dtype=dtype, statistics=statistics, n_threads=n_threads
            )
            _assert_same_bits(result, expected)


PANELS = ("", " 7 ", "1000000000000000000000")  # beyond 64 there are no more


def test_bits_do_not_depend_on_the_panels_of_a_tile(monkeypatch):
    X, y = _data((900, 511), 3)
    monkeypatch.delenv("NC1FAST_TILE_PANELS", raising=False)
    expected = _collapse(X, y, nc.NNGP("relu"))
    for panels in (*range(65), *PANELS):
        monkeypatch.setenv("NC1FAST_TILE_PANELS", str(panels))
        _assert_same_bits(_collapse(X, y, nc.NNGP("relu")), expected)


def test_nor_on_a_device(other_device, monkeypatch):
    X, y = _data((70, 60), 3)
    monkeypatch.delenv("NC1FAST_TILE_PANELS", raising=False)
    expected = _collapse(X, y, nc.NNGP("relu"), device=other_device)
    for panels in (1, 2, 64, *PANELS):
        monkeypatch.setenv("NC1FAST_TILE_PANELS", str(panels))
        _assert_same_bits(_collapse(X, y, nc.NNGP("relu"), device=other_device), expected)


def test_tiles_of_a_device_are_no_larger_than_its_launches(other_device, monkeypatch):
    """Three panels of rows with 17 of columns; a launch takes 16."""
    X, y = _data((192, 16 * 64 + 1), 1)
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
    X, y = _data((30, 20), 3)
    monkeypatch.setenv("NC1FAST_TILE_PANELS", panels)
    with pytest.raises(ValueError, match=f"NC1FAST_TILE_PANELS must be .*, got '{panels}'"):
        _collapse(X, y, nc.NNGP("relu"))


@pytest.mark.skipif(len(_core.isas()) < 2, reason="this machine has one instruction set")
def test_a_pass_keeps_the_instruction_set_that_it_began_with(monkeypatch):
    X, y = _data((400, 311), 3)
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
    """The sum with a class of one row is one value of the kernel: half a unit of 2^-61 of its bound off at most."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(1, 6)), rng.normal(size=(60, 6))])
    X[1:] -= (
        np.outer(X[1:] @ X[0], X[0]) / (X[0] @ X[0]) * (1 - 2.0**-28)
    )  # nearly orthogonal to the first
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
    X, y = _data((700, 611), n_features)
    expected = _collapse(X, y, nc.NTK("relu"), n_threads=1)
    for panels, n_threads in ((4, 2), (16, 3)):
        monkeypatch.setenv("NC1FAST_TILE_PANELS", str(panels))
        _assert_same_bits(_collapse(X, y, nc.NTK("relu"), n_threads=n_threads), expected)


@each_dtype
@each_kernel
def test_statistics_sums_are_those_of_all(kernel, dtype, device):
    X, y = _data()
    with_rows = _bits(_collapse(X, y, kernel, dtype=dtype, device=device))
    without = _bits(_collapse(X, y, kernel, dtype=dtype, statistics="sums", device=device))
    for name in ("block_sums", "traces", "within", "nc1", "trace_within", "trace_between"):
        assert with_rows[name] == without[name], name
    assert without["class_rows"] is None


@each_dtype
@each_kernel
def test_row_order_stays_within_the_bounds(kernel, dtype, device):
    X, y = _data()
    first = _collapse(X, y, kernel, dtype=dtype, device=device)
    order = np.random.default_rng(1).permutation(len(y))
    second = _collapse(X[order], y[order], kernel, dtype=dtype, device=device)
    assert abs(first.nc1 - second.nc1) <= first.error_bound + second.error_bound
    np.testing.assert_array_equal(first.sums.sizes, second.sums.sizes)
    allowed = first.sums.error.block_sums + second.sums.error.block_sums
    assert (np.abs(first.sums.block_sums - second.sums.block_sums) <= allowed).all()
    allowed = first.sums.error.within + second.sums.error.within
    assert (np.abs(first.sums.within - second.sums.within) <= allowed).all()


@each_dtype
def test_a_list_of_kernels_gives_the_bits_of_single_calls(dtype, device):
    X, y = _data((201, 302, 3))
    kernels = list(KERNELS.values())
    for kernel, result in zip(
        kernels, _collapse(X, y, kernels, dtype=dtype, device=device), strict=True
    ):
        assert result.kernel == kernel
        _assert_same_bits(result, _collapse(X, y, kernel, dtype=dtype, device=device))


@each_dtype
@pytest.mark.parametrize(
    "kernel",
    [
        nc.NNGP("relu", depth=5, weight_variance=2.0),
        nc.NNGP("erf", depth=4, bias_variance=0.3),
        nc.NTK(
            "relu",
            depth=4,
            weight_variance=(2.0, 1.5, 1.0, 0.5),
            bias_variance=(0.1, 0.2, 0.3, 0.4),
        ),
        nc.NTK("gelu", depth=3, parametrization="standard", width=(30, 40)),
        nc.ConjugateKernel("sin", depth=4),
    ],
    ids=repr,
)
def test_layers_equal_single_kernels(kernel, dtype, device):
    X, y = _data((101, 202, 3))
    layers = kernel.layers()
    assert [layer.depth for layer in layers] == list(range(2, kernel.depth + 1))
    for layer, result in zip(
        layers, _collapse(X, y, layers, dtype=dtype, device=device), strict=True
    ):
        alone = _collapse(X, y, layer, dtype=dtype, device=device)
        if layer.depth == 2:  # alone it has no loop over layers, and rounds in another order
            assert abs(result.nc1 - alone.nc1) <= result.error_bound + alone.error_bound
        else:
            _assert_same_bits(result, alone)


@each_kernel
def test_gram_does_not_depend_on_threads_or_on_a_second_argument(kernel):
    X, _ = _data((200, 103))
    K = kernel(X, n_threads=1)
    np.testing.assert_array_equal(kernel(X, n_threads=3), K)
    np.testing.assert_allclose(kernel(X, X.copy()), K, rtol=1e-13, atol=1e-13 * np.abs(K).max())


# --- the same numbers in another container ---


@each_kernel
def test_float32_data_are_upcast_exactly(kernel, device):
    X, y = _data((201, 102))
    narrow = X.astype(np.float32)
    _assert_same_bits(
        _collapse(narrow, y, kernel, device=device),
        _collapse(narrow.astype(np.float64), y, kernel, device=device),
    )


@pytest.mark.parametrize("kind", ["float16", "int8", "uint8", "int64"])
def test_narrow_types_are_widened_exactly(kind):
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1, 2], (30, 41, 22))
    X = (rng.integers(0, 100, (len(y), 6)) + y[:, None]).astype(kind)
    _assert_same_bits(
        _collapse(X, y, nc.NTK("erf")), _collapse(X.astype(np.float64), y, nc.NTK("erf"))
    )


@each_dtype
@pytest.mark.parametrize("data", ["float64", "float32"])
def test_layout_of_the_data_does_not_matter(data, dtype, device):
    X, y = _data((201, 102))
    X = X.astype(data)
    kernel = nc.NTK("relu")
    expected = _collapse(X, y, kernel, dtype=dtype, device=device)
    wide = np.full((2 * len(X), 3 * X.shape[1]), np.nan, dtype=data)
    wide[::2, 1::3] = X
    swapped = X.astype(X.dtype.newbyteorder())
    read_only = X.copy()
    read_only.flags.writeable = False
    layouts = {
        "Fortran": np.asfortranarray(X),
        "strided": wide[::2, 1::3],
        "reversed": X[::-1, ::-1].copy()[::-1, ::-1],
        "byte order": swapped,
        "read-only": read_only,
        "list": X.tolist() if data == "float64" else X,
    }
    for name, other in layouts.items():
        assert _bits(_collapse(other, y, kernel, dtype=dtype, device=device)) == _bits(expected), (
            name
        )


def test_torch_tensors_and_memory_maps_give_the_same_bits(tmp_path):
    X, y = _data((201, 102))
    kernel = nc.NNGP("erf")
    expected = _collapse(X, y, kernel)
    np.save(tmp_path / "X.npy", X)
    _assert_same_bits(_collapse(np.load(tmp_path / "X.npy", mmap_mode="r"), y, kernel), expected)
    torch = pytest.importorskip("torch", reason="torch tensors as input (extra: torch)")
    tensor = torch.from_numpy(X)
    for other in (tensor, tensor.clone().requires_grad_(), tensor.T.contiguous().T):
        _assert_same_bits(_collapse(other, torch.from_numpy(y), kernel), expected)
    half = tensor.to(torch.bfloat16)
    _assert_same_bits(_collapse(half, y, kernel), _collapse(half.double().numpy(), y, kernel))


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
    X, y = _data((31, 12, 50, 1, 7))
    expected = _collapse(X, y, nc.NNGP("relu"))
    result = _collapse(X, rename(y), nc.NNGP("relu"))
    _assert_same_bits(result, expected)
    np.testing.assert_array_equal(result.labels, np.unique(rename(y)))


def test_inputs_are_left_alone():
    X, y = _data((31, 12))
    before = X.copy(), y.copy()
    _collapse(X, y, nc.NNGP("relu"), dtype="float32")
    nc.NNGP("relu")(X)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


# --- instruction sets ---

_IN_A_PROCESS = """
import json, sys, warnings
sys.path[:0] = json.loads(sys.argv[1])
import nc1fast as nc
from nc1fast import _core
from tests import test_invariance as t
X, y = t._data()
out = {}
for name, kernel in t.KERNELS.items():
    for dtype in t.DTYPES:
        for n_threads in (1, 2):
            result = t._collapse(X, y, kernel, dtype=dtype, n_threads=n_threads)
            out[f"{name} {dtype} {n_threads}"] = [result.nc1.hex(), float(result.error_bound)]
print(json.dumps(out))
"""


def _instruction_sets():
    """Those this machine can run, from what the operating system says."""
    found = ["baseline"]
    cpuinfo = Path("/proc/cpuinfo")
    if platform.machine() in ("x86_64", "AMD64") and cpuinfo.exists():
        flags = set(cpuinfo.read_text().split("flags", 1)[-1].split("\n", 1)[0].split())
        if {"avx2", "fma"} <= flags:
            found.append("avx2")
        if {"avx512f", "avx512dq", "avx512bw", "avx512vl", "fma"} <= flags:
            found.append("avx512")
    return found


def _run(isa):
    environment = {**os.environ, "NC1FAST_ISA": isa}
    root = str(Path(__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", _IN_A_PROCESS, json.dumps([root, *sys.path])],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_core_finds_the_instruction_sets_of_this_machine():
    from nc1fast import _core

    assert _core.isas() == _instruction_sets()


def test_every_instruction_set_agrees_within_the_bounds():
    answers = {}
    for isa in _instruction_sets():
        done = _run(isa)
        assert done.returncode == 0, (isa, done.stderr[-2000:])
        answers[isa] = json.loads(done.stdout)
    reference = answers.pop("baseline")
    for case, (value, bound) in reference.items():
        single, double = (reference[f"{case[:-2]} {n}"][0] for n in (1, 2))
        assert single == double, case
        for isa, answer in answers.items():
            other, other_bound = answer[case]
            difference = abs(float.fromhex(value) - float.fromhex(other))
            assert difference <= bound + other_bound, (isa, case)


def test_an_unknown_instruction_set_is_refused_by_name():
    done = _run("mmx")
    assert done.returncode != 0
    assert "NC1FAST_ISA" in done.stderr
    assert "mmx" in done.stderr
