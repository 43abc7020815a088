"""Who runs tiles: the compiled core, or its twin for devices; Gram matrices, diagonals and dual
activations by them.

The room `core` and `sums.streaming`, which runs the pass over all pairs, alone import `_core`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast import _core, cuda
from nc1fast.core.activations import Activation, name_and_parameter
from nc1fast.core.chains import Chain, adaptive_chain
from nc1fast.core.expressions import kernel_dict
from nc1fast.core.linear import matmul
from nc1fast.core.machine import thread_count, threads_for
from nc1fast.inputs.arrays import as_rows, row_chunks
from nc1fast.inputs.devices import BorrowedRows, empty_like, index_of
from nc1fast.support.arguments import check_choice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.core.expressions import SupportsExpression
    from nc1fast.inputs.file_rows import FileRows

    Array = NDArray[np.float64]
    Rows = NDArray[Any] | FileRows | BorrowedRows

_DEVICE_SHARE = 0.9  # of the free memory of a device that a pass may take


@dataclass(frozen=True)
class Runner:
    """Who runs the tiles.

    Attributes
    ----------
    module : module
        The core, or its twin for devices: the same functions.
    devices : tuple
        Last arguments of the functions of the twin; () for the core.
    bits : str
        The instruction set, or the compute capability of the devices: the bits of sums depend on
        it.
    memory : float
        Bytes that a pass may take on each device.
    """

    module: Any
    devices: tuple[list[int], ...]
    bits: str
    memory: float


def runner(device: str) -> Runner:
    """The runner for a device named as in `nc1fast.cuda`; errors of `cuda.indices`."""
    indices = cuda.indices(device)
    if not indices:
        return Runner(_core, (), _core.isa(), float("inf"))
    found = [cuda.info(i) for i in indices]
    major, minor = found[0].compute_capability
    memory = _DEVICE_SHARE * min(one.free_memory for one in found)
    return Runner(cuda.module(), (list(indices),), f"cuda {major}.{minor}", memory)


def bits_of(device: str) -> str:
    """The name of what the bits of sums depend on beside the problem: instruction set, or
    capability of the devices.
    """
    return runner(device).bits


_UNDEFINED = {
    "jump": "sign and step are undefined without a bias_variance",
    "scale": "shifted_relu and activations given by a series need a bias_variance of the input "
    "layer",
    "kink": "an NTK with trained input biases needs the derivative of its activation at 0, which "
    "has none there: give the input layer a bias_variance, or set train_bias=False",
}


def check_rows(X: Rows, chains: Sequence[Chain]) -> None:
    """Raise ValueError for zero rows, which have no direction, where a kernel depends on nothing
    else.
    """
    found = {chain.undefined_at_zero for chain in chains}
    what = next((text for kind, text in _UNDEFINED.items() if kind in found), None)
    if what is None:
        return
    if isinstance(X, BorrowedRows):
        zero = X.zero_rows
    else:
        zero = sum(int((~chunk.any(axis=1)).sum()) for chunk in row_chunks(X))
    if zero:
        raise ValueError(f"X has {zero} zero rows, for which {what}")


@contextmanager
def in_range(*kernels: object) -> Iterator[None]:
    """Turn overflows in the core into the ValueError that names the kernels."""
    try:
        yield
    except OverflowError as error:
        names = ", ".join(map(repr, kernels))
        raise ValueError(f"X is out of range for {names}: {error}") from None


def mapped_rows(X: NDArray[Any], chain: Chain, n_threads: int | None = 1) -> NDArray[Any]:
    """X, or for an adaptive kernel X times its factor: the rows whose inner products the core
    takes.
    """
    if chain.factor is None:
        return X
    return matmul(X.astype(np.float64, copy=False), chain.factor, thread_count(n_threads))


def _side(X: Any, name: str, device: str) -> NDArray[Any] | BorrowedRows:
    """Rows of a Gram matrix: in place where they lie on the device, else as `as_rows`."""
    borrowed = BorrowedRows.of(X, device, name)
    return as_rows(X, name) if borrowed is None else borrowed


def _as_core(X: NDArray[Any] | BorrowedRows, chain: Chain, n_threads: int | None) -> Any:
    """Rows as the core or its twin takes them; those that have a factor are multiplied with it by
    the processor.
    """
    if not isinstance(X, BorrowedRows):
        return mapped_rows(X, chain, n_threads)
    if chain.factor is None:
        return X.borrowed
    return mapped_rows(as_rows(X.array), chain, n_threads)


def gram(
    kernel: SupportsExpression,
    X: ArrayLike,
    Z: ArrayLike | None,
    *,
    dtype: str,
    n_threads: int | None,
    device: str | None,
) -> NDArray[Any]:
    """Gram matrix of a kernel: see `Kernel.__call__`."""
    check_choice("dtype", dtype, ("float64", "float32"))
    there = index_of(X)
    if device is None:
        device = "cpu" if there is None else f"cuda:{there}"
    rows = _side(X, "X", device)
    columns = None if Z is None else _side(Z, "Z", device)
    if columns is not None and columns.shape[1] != rows.shape[1]:
        raise ValueError(f"Z must have {rows.shape[1]} features as X has, got {columns.shape[1]}")
    expression = kernel.expression(rows.shape[1]).on_common_rows()
    chain = expression.leaves[0]
    for side in (rows, columns):
        if side is not None:
            check_rows(side, expression.leaves)
    shape = len(rows), len(rows if columns is None else columns)
    arguments = (
        _as_core(rows, chain, n_threads),
        None if columns is None else _as_core(columns, chain, n_threads),
        kernel_dict(expression),
        dtype == "float32",
        threads_for(n_threads, shape[0] * shape[1], rows.shape[1]),
    )
    with in_range(kernel):
        if there is not None and cuda.indices(device) == (there,):
            out, address = empty_like(X, shape, dtype)
            cuda.module().gram_on_device(*arguments, address, there)
            return out  # type: ignore[no-any-return]
        on = runner(device)
        return on.module.gram(*arguments, None, *on.devices)  # type: ignore[no-any-return]


def diagonal(kernel: SupportsExpression, X: ArrayLike, n_features: int | None = None) -> Array:
    """Diagonal of the Gram matrix of a kernel: see `Kernel.diag`.

    `n_features` is d0 where X has only those columns that are not zero.
    """
    rows = as_rows(X, "X")
    n_columns = rows.shape[1]
    expression = kernel.expression(n_features or n_columns).on_common_rows()
    if n_features is not None:  # the core divides inner products by the number of columns
        rows = rows * np.sqrt(n_columns / n_features)
    check_rows(rows, expression.leaves)
    with in_range(kernel):
        return _core.diagonal(mapped_rows(rows, expression.leaves[0]), kernel_dict(expression))


def duals(
    activation: Activation, variances: tuple[Array, Array], c: Array, s: Array
) -> tuple[Array, Array]:
    """E[phi(u) phi(v)] and E[phi'(u) phi'(v)] for (u, v) ~ N(0, [[a, c], [c, b]]), shape (n,) each.

    Parameters
    ----------
    activation : str, LeakyReLU, ShiftedReLU or Activation
    variances : (a, b), ndarray of shape (n,) each
    c : ndarray of shape (n,)
        Covariances.
    s : ndarray of shape (n,)
        sqrt(a b - c^2), which keeps the digits of small angles.

    Notes
    -----
    Cost: 20 to 100 ns an entry, on one thread.
    Accuracy: 1e-14 of sqrt(kappa(a, a) kappa(b, b)). The second is 0 for an activation that jumps.
    """
    kappa, kdot = _core.duals(*name_and_parameter(activation), *variances, c, s)
    return kappa, kdot


def adaptive_gram(W: Array, activation: Activation, scale: float, n_threads: int | None) -> Array:
    """Scale times kappa of inner products of the rows of W (N, r): (N, N), exactly symmetric."""
    chain = adaptive_chain(activation, W.shape[1], scale=scale)
    return _core.gram(W, None, chain.as_dict(), False, threads_for(n_threads, len(W) ** 2), None)


def adaptive_gram_on_device(
    W: Array,
    activation: Activation,
    scale: float,
    n_threads: int | None,
    *,
    derivative: bool,
    to: tuple[int, int],
) -> None:
    """The same, or scale times kdot, into N^2 float64 of a CUDA device: `to` is their address and
    its index.
    """
    chain = adaptive_chain(activation, W.shape[1], scale=scale, derivative=derivative)
    threads = threads_for(n_threads, len(W) ** 2)
    cuda.module().gram_on_device(W, None, chain.as_dict(), False, threads, *to)


def adaptive_product(
    W: Array,
    activation: Activation,
    scale: float,
    inverse: tuple[float, Array],
    factor: Array,
    n_threads: int | None,
) -> Array:
    """(scale kdot o A) W, shape (N, r), for A = c inverse - factor factor^T; no N x N memory beyond
    the inverse.

    Parameters
    ----------
    inverse : (c, ndarray of shape (N, N))
        Of which the upper triangle is read.
    factor : ndarray of shape (N, P)
    """
    chain = adaptive_chain(activation, W.shape[1], scale=scale, derivative=True)
    threads = threads_for(n_threads, len(W) ** 2)
    return _core.product(W, chain.as_dict(), *inverse, factor, threads)
