"""Who runs tiles, on how many threads: the compiled core, or its twin for devices; and matrices by them.

This room and `sums.streaming`, which runs the pass over all pairs, alone import `_core`.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast import _core, cuda
from nc1fast.core.chains import Chain, adaptive_chain, chain_of
from nc1fast.core.linear import matmul
from nc1fast.inputs.arrays import as_rows, row_chunks
from nc1fast.inputs.devices import empty_like, index_of
from nc1fast.sums.rounding import per_product
from nc1fast.support.arguments import as_count, check_choice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.inputs.file_rows import FileRows
    from nc1fast.kernels.classes import Kernel

    Rows = NDArray[Any] | FileRows

_MOST_THREADS = 1024
_LARGEST = 1e100  # k_ii for which bounds on errors hold, as in a pass
_INLINE_PAIRS = 100_000  # below, threads cost more than they save
_DEVICE_SHARE = 0.9  # of the free memory of a device that a pass may take


def thread_count(n_threads: int | None) -> int:
    """Threads of a pass: the argument, NC1FAST_NUM_THREADS, OMP_NUM_THREADS, or the processors of this process."""
    if n_threads is None:
        for name in ("NC1FAST_NUM_THREADS", "OMP_NUM_THREADS"):
            value = os.environ.get(name, "")
            if value.isdecimal() and int(value) > 0:
                return min(int(value), _MOST_THREADS)
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    return min(as_count("n_threads", n_threads), _MOST_THREADS)


def threads_for(n_threads: int | None, n_pairs: int) -> int:
    """0: in the calling thread."""
    count = thread_count(n_threads)
    return 0 if n_pairs < _INLINE_PAIRS else count


class RowErrors(NamedTuple):
    """k_ii of the rows x_i of a kernel, and what bounds errors, (n_rows,) each, with u = 2^-53.

    |dk_ij| <= u sqrt(entry_i entry_j), |dk_ii| <= u diagonal_i; and a D2 without cancellation is that of rows which have moved
    by at most u sqrt(moved_i) in feature space.
    """

    k: NDArray[np.float64]
    entry: NDArray[np.float64]
    diagonal: NDArray[np.float64]
    moved: NDArray[np.float64]


@dataclass(frozen=True)
class Runner:
    """Who runs the tiles.

    Attributes
    ----------
    module : module
        The core, or its twin for devices: the same functions.
    devices : tuple
        What the functions of the twin take last.
    bits : str
        What the bits of sums depend on: an instruction set, or the capability of the devices.
    memory : float
        Bytes that a pass may take on each device.
    """

    module: Any
    devices: tuple[list[int], ...]
    bits: str
    memory: float


def runner(device: str) -> Runner:
    """Of a name as in `nc1fast.cuda`, whose errors it raises."""
    indices = cuda.indices(device)
    if not indices:
        return Runner(_core, (), _core.isa(), float("inf"))
    found = [cuda.info(i) for i in indices]
    major, minor = found[0].compute_capability
    memory = _DEVICE_SHARE * min(one.free_memory for one in found)
    return Runner(cuda.module(), (list(indices),), f"cuda {major}.{minor}", memory)


def bits_of(device: str) -> str:
    """What the bits of sums depend on, beside the problem: an instruction set, or the capability of the devices."""
    return runner(device).bits


def build_info() -> dict[str, Any]:
    """Instruction set in use, those this machine has, threads by default, and the activations compiled in."""
    return {
        "isa": _core.isa(),
        "isas": _core.isas(),
        "threads": thread_count(None),
        "activations": sorted(_core.activations()),
    }


def check_rows(X: Rows, chains: Sequence[Chain]) -> None:
    """Zero rows have no direction: harmless unless a kernel depends on nothing else, or asks for the slope at a kink."""
    step = any(c.activation in ("sign", "step") and c.biases[0] == 0 for c in chains)
    kink = any(
        c.activation in ("relu", "leaky_relu", "abs") and c.biases[0] == 0 and c.theta_offset != 0
        for c in chains
    )
    if not (step or kink):
        return
    if zero := sum(int((~chunk.any(axis=1)).sum()) for chunk in row_chunks(X)):
        what = (
            "sign and step are undefined without a bias_variance"
            if step
            else "an NTK with trained input biases needs the derivative of its activation at 0, which has none there: "
            "give the input layer a bias_variance, or set train_bias=False"
        )
        raise ValueError(f"X has {zero} zero rows, for which {what}")


def gram(
    kernel: Kernel,
    X: ArrayLike,
    Z: ArrayLike | None,
    *,
    dtype: str,
    n_threads: int | None,
    device: str | None,
) -> NDArray[Any]:
    """Gram matrix; see `Kernel.__call__`."""
    check_choice("dtype", dtype, ("float64", "float32"))
    there = index_of(X)
    if device is None:
        device = "cpu" if there is None else f"cuda:{there}"
    rows = as_rows(X, "X")
    columns = None if Z is None else as_rows(Z, "Z")
    if columns is not None and columns.shape[1] != rows.shape[1]:
        raise ValueError(f"Z must have {rows.shape[1]} features as X has, got {columns.shape[1]}")
    chain = chain_of(kernel, rows.shape[1])
    for side in (rows, columns):
        if side is not None:
            check_rows(side, [chain])
    shape = len(rows), len(rows if columns is None else columns)
    arguments = (
        _mapped(rows, chain, n_threads),
        None if columns is None else _mapped(columns, chain, n_threads),
        chain.as_dict(),
        dtype == "float32",
        threads_for(n_threads, shape[0] * shape[1]),
    )
    with in_range(kernel):
        if there is not None and cuda.indices(device) == (there,):
            out, address = empty_like(X, shape, dtype)
            cuda.module().gram_on_device(*arguments, address, there)
            return out  # type: ignore[no-any-return]
        on = runner(device)
        return on.module.gram(*arguments, None, *on.devices)  # type: ignore[no-any-return]


@contextmanager
def in_range(*kernels: Kernel) -> Iterator[None]:
    """Turns overflows in the core into the ValueError that names the kernels."""
    try:
        yield
    except OverflowError as error:
        names = ", ".join(map(repr, kernels))
        raise ValueError(f"X is out of range for {names}: {error}") from None


def diagonal(kernel: Kernel, X: ArrayLike) -> NDArray[np.float64]:
    """Diagonal of the Gram matrix; see `Kernel.diag`."""
    rows = as_rows(X, "X")
    chain = chain_of(kernel, rows.shape[1])
    check_rows(rows, [chain])
    with in_range(kernel):
        return _core.diagonal(_mapped(rows, chain), chain.as_dict())


def row_errors(
    kernel: Kernel,
    X: NDArray[np.float64],
    coordinates: float = 0.0,
    about: NDArray[np.float64] | None = None,
) -> RowErrors:
    """How far float64 values of a kernel may be off, one row at a time.

    Parameters
    ----------
    kernel : Kernel
    X : ndarray of shape (n_rows, n_features)
    coordinates : float, default 0.0
        Error of the rows themselves, in unit roundoffs: relative, and of their differences from `about`.
    about : ndarray of shape (n_features,), optional
    """
    chain = chain_of(kernel, X.shape[1])
    rows = _mapped(X, chain)
    with in_range(kernel):
        k, diagonal, slope, noise = _core.growth(rows, chain.as_dict())
        if k.max(initial=0.0) > _LARGEST:
            raise OverflowError(f"values on the diagonal go beyond {_LARGEST:g}")
    mapped = 0.0 if chain.factor is None else mapping_errors(X, chain.factor)
    depth = rows.shape[1] + (chain.input_layer[1] > 0)
    along = (coordinates + mapped) * (slope + k)
    moved = np.zeros(len(X))
    if about is not None:  # beside the length of the row, the bias included
        weight = chain.weights[0] / rows.shape[1]
        offset = X - about
        apart = offset if chain.factor is None else matmul(offset, chain.factor)
        length = np.sqrt(chain.biases[0] + weight * np.square(rows).sum(axis=1))
        distance = np.sqrt(weight * np.square(apart).sum(axis=1)) / np.where(
            length > 0, length, np.inf
        )
        # A difference that the factor shortens loses more digits than the rows do.
        off = 0.0 if chain.factor is None else mapping_errors(offset, chain.factor)
        moved = ((off + coordinates) * distance) ** 2 * slope
    return RowErrors(k, per_product(depth) * slope + noise + along, diagonal + along, moved)


def mapping_errors(X: NDArray[Any], factor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative errors of the rows X L in units of 2^-53: |fl(x L) - x L| <= (d0 + 2) u |x| |L|, once for norm and angle each.

    A row enters k twice. L itself, whose entries are rounded once (`cholesky`), adds u |x| |L|.
    """
    rows = X.astype(np.float64, copy=False)
    lengths = np.linalg.norm(matmul(rows, factor), axis=1)
    sizes = np.linalg.norm(matmul(np.abs(rows), np.abs(factor)), axis=1)
    return np.asarray(8.0 * (X.shape[1] + 2) * sizes / np.where(lengths > 0, lengths, np.inf))


def _mapped(X: NDArray[Any], chain: Chain, n_threads: int | None = 1) -> NDArray[Any]:
    """The rows that the core sees: X, or X times the factor of an adaptive kernel."""
    if chain.factor is None:
        return X
    return matmul(X.astype(np.float64, copy=False), chain.factor, thread_count(n_threads))


def adaptive_gram(
    W: NDArray[np.float64], activation: Any, scale: float, n_threads: int | None
) -> NDArray[np.float64]:
    """Scale times kappa of the inner products of the rows of W (N, r): (N, N), exactly symmetric."""
    chain = adaptive_chain(activation, W.shape[1], scale=scale)
    return _core.gram(W, None, chain.as_dict(), False, threads_for(n_threads, len(W) ** 2), None)


def adaptive_gram_on_device(
    W: NDArray[np.float64],
    activation: Any,
    scale: float,
    n_threads: int | None,
    *,
    derivative: bool,
    to: tuple[int, int],
) -> None:
    """The same, or scale times kdot, into N^2 float64 of a CUDA device: `to` is their address and its index."""
    chain = adaptive_chain(activation, W.shape[1], scale=scale, derivative=derivative)
    threads = threads_for(n_threads, len(W) ** 2)
    cuda.module().gram_on_device(W, None, chain.as_dict(), False, threads, *to)


def adaptive_product(
    W: NDArray[np.float64],
    activation: Any,
    scale: float,
    inverse: tuple[float, NDArray[np.float64]],
    factor: NDArray[np.float64],
    n_threads: int | None,
) -> NDArray[np.float64]:
    """(scale kdot o A) W, shape (N, r), for A = c inverse - factor factor^T; no N x N memory beyond the inverse.

    Parameters
    ----------
    inverse : (c, ndarray of shape (N, N))
        Of which the upper triangle is read.
    factor : ndarray of shape (N, P)
    """
    chain = adaptive_chain(activation, W.shape[1], scale=scale, derivative=True)
    threads = threads_for(n_threads, len(W) ** 2)
    return _core.product(W, chain.as_dict(), *inverse, factor, threads)
