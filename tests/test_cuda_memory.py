"""Memory of devices: what a pass is said to take and takes, and what is left when a call of the
runtime fails. On pretended ones.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.gaussians import gaussians
from tests.pretended import Lender

import nc1fast as nc
from nc1fast import cuda
from nc1fast.core.backend import runner
from nc1fast.core.expressions import groups_of
from nc1fast.inputs.labelled import LabelledData
from nc1fast.sums.settings import Settings
from nc1fast.sums.streaming import _Pass

UNIT = 64 * 64 * 8  # bytes of the values of a unit, float64
RELU, ERF, DEEP = nc.NTK("relu"), nc.NTK("erf"), nc.NTK("relu", 3, 1.0, 0.1)


# Roots that are not held, and the launches of a kernel without
# ----------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("kernel", "like"), [(RELU, nc.NNGP("relu")), (DEEP, nc.NNGP("relu", 3, 1.0, 0.1))], ids=repr
)
def test_a_kernel_with_a_root_is_launched_as_one_without(watch, kernel, like, dtype):
    """The sums of its errors take no shared memory: one unit of chords, which the values
    replace.
    """
    X, y = gaussians((70, 5, 66), 7)
    seen = []
    for one in (kernel, like):
        watch.start()
        nc.class_sums(X, y, one, device="cuda", dtype=dtype)
        seen.append(watch.seen())
    unit = UNIT if dtype == "float64" else UNIT // 2
    assert [(s.launches, s.blocks, s.most_shared) for s in seen] == 2 * [(4, seen[0].blocks, unit)]


def test_both_kernels_of_one_layer_of_rectifiers_are_one_chain_between_classes(watch):
    """Their rows go there once, and not once more as those of another variance, which share the
    pass.
    """
    X, y = gaussians((70, 5), 7)
    calls = []
    for variance in (1.0, 1.7):
        watch.start()
        kernels = [nc.NTK("relu", 2, variance), nc.NNGP("relu")]
        nc.class_sums(X, y, kernels, device="cuda")
        calls.append(watch.seen().calls)
    assert calls[0] < calls[1]


# What a pass takes
# -------------------------------------------------------------------------------------------------

LAYERS = nc.NTK("relu", 5).layers()
PASSES = {
    "one": [nc.NNGP("erf")],
    "root": [RELU],
    "layers": LAYERS,
    "both": [RELU, nc.NNGP("relu")],
    "many": [RELU, ERF, nc.NNGP("sign", 2, 1.0, 0.1), DEEP],
    "biases": [nc.Linear(1.0, 0.3)],
    "expression": [RELU * ERF + DEEP],
    "expressions": [RELU, ERF**2, RELU * nc.NTK("relu", 2, 1.0, 0.3), 2.0 * DEEP],
}


def _estimate(X, y, kernels, n_rows, **settings):
    """Bytes of a device and of the host, as the pass is told."""
    data = LabelledData.of(X, y, device="cuda")
    told = [
        _Pass(data, kernels, group, Settings(device="cuda", **settings))._on_devices(n_rows)
        for group in groups_of(kernels, data.n_features)
    ]
    return tuple(map(max, zip(*told, strict=True)))


def _taken(watch, X, y, kernels, *, in_place=False, least=0.8, **settings):
    """Bytes of device and host that a pass takes: those it is said to, or a little less."""
    device, pinned = _estimate(Lender(X) if in_place else X, y, kernels, len(y), **settings)
    watch.start()
    if in_place:
        nc.collapse(Lender(X), y, kernels, device="cuda", convention="papyan", **settings)
    else:
        nc.class_sums(X, y, kernels, device="cuda", **settings)
    seen = watch.seen()
    assert least * device - 8192 <= seen.most <= device
    assert (seen.most_pinned, seen.held) == (pinned, (0, 0, 0, 0))
    return device, pinned


@pytest.mark.slow
@pytest.mark.parametrize("statistics", ["all", "sums"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "mixed"])
@pytest.mark.parametrize("name", PASSES)
def test_a_pass_takes_what_it_is_said_to(watch, name, dtype, statistics):
    """Never more, and at most a fifth and some alignment less: packed rows, norms, sums, tiles,
    values, buffers.
    """
    X, y = gaussians((80, 40, 9, 1), 13)
    settings = {"dtype": dtype, "statistics": statistics}
    device, pinned = _estimate(X, y, PASSES[name], len(y), **settings)
    watch.start()
    nc.class_sums(X, y, PASSES[name], device="cuda", **settings)
    seen = watch.seen()
    values = 0
    if "expression" in name:
        # The room for them is half of what is left, or as many units as there are.
        values = seen.most - device
        units = values / (UNIT if dtype != "float32" else UNIT // 2)
        assert values >= 0
        assert units <= 256 * 10
    assert 0.8 * device - 8192 <= seen.most - max(values, 0) <= device
    assert seen.most_pinned == pinned
    assert seen.held == (0, 0, 0, 0)


@pytest.mark.parametrize("dtype", ["float64", "mixed"])
@pytest.mark.parametrize("name", ["one", "many", "biases"])
@pytest.mark.parametrize("n_features", [3, 61])
def test_a_pass_over_rows_in_place_takes_what_it_is_said_to(watch, n_features, name, dtype):
    """Their scalings while they are packed, and before that what is measured of them; the rows
    themselves are the caller's.
    """
    X, y = gaussians((80, 40, 9, 1), n_features)
    _taken(watch, X, y, PASSES[name], in_place=True, dtype=dtype, statistics="sums")


def test_what_is_measured_can_be_most_of_it(watch):
    """Sums of 60 classes and 300 features, beside 70 rows; bytes of a row on the host do not count
    what it has not.
    """
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(70, 300)), np.arange(70) % 60
    settings = {"in_place": True, "least": 0.9, "statistics": "sums"}
    _, pinned = _taken(watch, X, y, [nc.Linear()], **settings)
    assert pinned == 2 * (320 << 10)  # 128 packed rows
    module = cuda.module()
    about = (300, groups_of([RELU], 300)[0].words, False, True, True)
    larger, both = module.row_bytes(*about, [0])
    there, both_there = module.lent_row_bytes(*about)
    assert both - both_there == 300 * (8 + 4) - 2 * 40
    assert larger - there == 300 * 8 - 40


@pytest.mark.parametrize("statistics", ["all", "sums"])
def test_features_and_classes_are_part_of_it(watch, statistics):
    """One array is most of it: rows of 781 features, padded to 784; or sums of 60 classes."""
    rng = np.random.default_rng(0)
    for n_features, n_classes in ((781, 2), (2, 60)):
        y = np.arange(130) % n_classes
        X = rng.normal(size=(130, n_features))
        device, _ = _taken(watch, X, y, [RELU], least=0.9, statistics=statistics)
        assert device > 192 * 784 * 8 if n_features > 2 else device > 60 * 60 * 20


@pytest.mark.parametrize("n_features", [97, 150])
def test_digits_lie_in_the_place_of_numbers(watch, n_features):
    """float32 rows of 97 features or more (cuda/digits.hpp): memory as before."""
    X, y = gaussians((80, 40), n_features)
    _taken(watch, X, y, [RELU], dtype="float32")


def test_a_limit_on_the_host_counts_the_buffers_of_devices(watch):
    X, y = gaussians((150, 90), 4)
    told = []
    for device in ("cpu", "cuda", "cuda:all"):
        with pytest.raises(ValueError, match="memory_limit is 9 bytes") as error:
            nc.class_sums(X, y, RELU, device=device, memory_limit=9, n_threads=1)
        buffers = re.search(r"(\d+) for buffers", str(error.value))
        assert buffers is not None
        told.append(int(buffers[1]))
    assert [n - told[0] for n in told] == [0, 2 * (64 << 10), 4 * (64 << 10)]


def _totals(steps):
    return lambda done, total: steps.append(total)


@pytest.mark.parametrize(
    "kernel", [RELU, pytest.param(RELU * ERF, marks=pytest.mark.slow)], ids=repr
)
def test_rows_are_divided_exactly_where_they_stop_to_fit(watch, monkeypatch, kernel):
    X, y = gaussians((200, 150, 140), 4)
    needed, _ = _estimate(X, y, [kernel], len(y))
    whole = nc.class_sums(X, y, kernel, device="cuda")
    tiles = []
    for memory in (needed, needed - 1):
        # what a pass may take is nine tenths of what is free
        monkeypatch.setenv("NC1FAST_SHIM_MEMORY", str(-(-memory * 10 // 9)))
        assert abs(runner("cuda").memory - memory) < 1
        steps: list[int] = []
        sums = nc.class_sums(X, y, kernel, device="cuda", progress=_totals(steps))
        tiles.append(steps[-1])
        for name in ("block_sums", "traces", "within", "class_rows"):
            assert np.array_equal(getattr(sums, name), getattr(whole, name)), name
    assert tiles[0] < tiles[1]


def test_rows_in_place_are_divided_where_packed_ones_stop_to_fit(watch, monkeypatch):
    """On the device, and on the host under a limit."""
    X, y = gaussians((200, 150, 140), 4)
    needed, _ = _estimate(Lender(X), y, [RELU], len(y))
    whole = nc.collapse(X, y, RELU, device="cuda", convention="papyan", keep_rows=True).sums
    tiles = []
    for memory, limit in ((needed, None), (needed - 1, None), (1 << 28, 3_500_000)):
        monkeypatch.setenv("NC1FAST_SHIM_MEMORY", str(-(-memory * 10 // 9)))
        steps: list[int] = []
        settings = {"convention": "papyan", "keep_rows": True, "n_threads": 1}
        settings["memory_limit"], lender = limit, Lender(X)
        found = nc.collapse(lender, y, RELU, device="cuda", progress=_totals(steps), **settings)
        tiles.append(steps[-1])
        for name in ("block_sums", "traces", "within", "row_sums"):
            assert np.array_equal(getattr(found.sums, name), getattr(whole, name)), name
        assert (lender.brought, lender.given_back) == (0, 1)
    assert tiles[0] < tiles[1]
    with pytest.raises(ValueError, match=r"memory_limit is 9 bytes, .* \d+ for packed rows"):
        nc.collapse(Lender(X), y, RELU, device="cuda", memory_limit=9)


@pytest.mark.parametrize("kernel", [RELU, RELU * ERF], ids=repr)
def test_stacks_of_interpreters_are_left_free(watch, monkeypatch, kernel):
    """64 states of 5 numbers for every thread (2 for a matrix), set aside by the driver when the
    first expression is computed.
    """
    X, y = gaussians((100, 50), 4)
    expected = nc.class_sums(X, y, kernel, device="cuda").block_sums
    matrix = kernel(X, device="cuda")
    without, _ = _estimate(X, y, [kernel], len(y))
    monkeypatch.setenv("NC1FAST_SHIM_THREADS", "300")
    stacks = 300 * 64 * 5 * 8 if kernel is not RELU else 0
    assert _estimate(X, y, [kernel], len(y))[0] == without + stacks
    passes = -(-(without + stacks) * 10 // 9)
    matrices = 600_000 + stacks * 2 // 5
    for made, values, memory, taken in (
        (lambda: nc.class_sums(X, y, kernel, device="cuda").block_sums, expected, passes, stacks),
        (lambda: kernel(X, device="cuda"), matrix, matrices, stacks * 2 // 5),
    ):
        monkeypatch.setenv("NC1FAST_SHIM_MEMORY", str(memory))
        watch.start()
        assert np.array_equal(made(), values)
        assert watch.seen().most <= memory - taken


@pytest.mark.parametrize("device", ["cuda", "cuda:all"])
def test_a_matrix_comes_in_pieces_that_fit(watch, monkeypatch, device):
    """300 rows take 5 panels of 153,600 bytes, which are never on a device together."""
    X, _ = gaussians((200, 100), 4)
    expected = RELU(X, device=device)
    monkeypatch.setenv("NC1FAST_SHIM_MEMORY", "400000")
    watch.start()
    assert np.array_equal(RELU(X, device=device), expected)
    assert watch.seen().most < 400_000 < expected.nbytes


# When a call fails
# -------------------------------------------------------------------------------------------------


def _sums(kernels, device, **settings):
    X, y = gaussians((30, 5), 3)
    return lambda: nc.class_sums(X, y, kernels, device=device, n_threads=2, **settings)


def _matrix(kernel, device, rows=slice(None)):
    X, _ = gaussians((70, 5), 3)
    return lambda: kernel(X, X[rows], device=device)


LENDERS: list[Lender] = []


def _lent(X, index):
    LENDERS.append(Lender(X, index))
    return LENDERS[-1]


def _sums_in_place(kernel, device):
    X, y = gaussians((30, 5), 3)
    settings = {"device": f"cuda:{device}", "convention": "papyan", "statistics": "sums"}
    return lambda: nc.collapse(_lent(X, device), y, kernel, **settings)


def _matrix_in_place(kernel, device):
    X, _ = gaussians((70, 5), 3)
    return lambda: kernel(_lent(X, device), _lent(X[:9], device), device=f"cuda:{device}")


CALLS = {
    "sums": _sums(RELU, "cuda"),
    "another device": _sums(nc.NNGP("erf"), "cuda:1", statistics="sums"),
    "expression": _sums(RELU * DEEP, "cuda", statistics="sums"),
    "two devices": _sums(ERF, "cuda:all", statistics="sums"),
    "matrix": _matrix(RELU, "cuda:1"),
    "matrix of an expression": _matrix(RELU * DEEP, "cuda", slice(9)),
    "matrices of two devices": _matrix(ERF, "cuda:all"),
    "rows in place": _sums_in_place(nc.NTK("relu", 2, 1.0, 0.1), 0),
    "matrix of rows in place": _matrix_in_place(RELU, 0),
}
# Waits whose failure nobody is told of: the last one for each pass, device and other use of a
# stream, as it is left.
UNTOLD = {"rows in place": 7, "matrix of rows in place": 7}


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_left_whichever_call_fails(watch, name):
    """Each call of the runtime in turn: an error that says so, all memory returned, the current
    device as before.
    """
    call = CALLS[name]
    other = 0 if name in ("another device", "matrix") else 1  # than the one that computes
    watch.use(other)
    watch.start()
    call()
    n = watch.seen().calls
    assert n > 20
    untold = 0
    for failing in range(1, n + 1):
        watch.start(failing)
        told = None
        try:
            call()
        except (MemoryError, nc.cuda.DeviceError) as error:
            told = str(error)
        seen = watch.seen()
        if told is None:
            untold += seen.calls >= failing
        else:
            assert re.search("more are needed|memory cannot be had|refused", told)
        assert seen.held == (0, 0, 0, 0), failing
        assert cuda.module().current_device() == other, failing
        assert watch.last_error == 0, failing
        for lender in LENDERS:
            assert (lender.lent, lender.brought) == (lender.given_back, 0), failing
        LENDERS.clear()
    assert untold <= UNTOLD.get(name, 4 if "two" in name else 2)
    watch.start()
    call()


def test_nothing_is_left_of_a_pass_that_is_stopped(watch):
    def stop(done, total):
        raise KeyboardInterrupt

    X, y = gaussians((70, 5), 3)
    watch.use(1)
    for device in ("cuda", "cuda:all"):
        with pytest.raises(KeyboardInterrupt):
            nc.class_sums(X, y, RELU * ERF, device=device, progress=stop)
        assert watch.seen().held == (0, 0, 0, 0)
        assert cuda.module().current_device() == 1
