"""The compiled core as the rest of the package sees it: the only importer of `_core`."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast import _core
from nc1fast._inputs import as_rows, row_chunks
from nc1fast._plan import Chain, adaptive_chain, chain_of, chains_of
from nc1fast.sums import ClassSums, PassSums, from_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.kernels import Kernel

    Progress = Callable[[int, int], object]

# Tiles within classes and between them, in single precision or not.
PRECISIONS = {"float64": (False, False), "float32": (True, True), "mixed": (False, True)}
_INLINE_PAIRS = 100_000  # below, threads cost more than they save


def thread_count(n_threads: int | None) -> int:
    """Threads of a pass: the argument, NC1FAST_NUM_THREADS, OMP_NUM_THREADS, or the processors of this process."""
    if n_threads is None:
        for name in ("NC1FAST_NUM_THREADS", "OMP_NUM_THREADS"):
            value = os.environ.get(name, "")
            if value.isdigit() and int(value) > 0:
                return int(value)
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    if isinstance(n_threads, bool) or not hasattr(n_threads, "__index__"):
        raise TypeError(f"n_threads must be a positive integer or None, got {n_threads!r}")
    if n_threads < 1:
        raise ValueError(f"n_threads must be a positive integer or None, got {n_threads!r}")
    return min(int(n_threads), 1024)


def _threads(n_threads: int | None, n_pairs: int) -> int:
    """0: in the calling thread."""
    count = thread_count(n_threads)
    return 0 if n_pairs < _INLINE_PAIRS else count


def build_info() -> dict[str, Any]:
    """Instruction set in use, those this machine has, threads by default, and the activations compiled in."""
    return {
        "isa": _core.isa(),
        "isas": _core.isas(),
        "threads": thread_count(None),
        "activations": sorted(_core.activations()),
    }


def _check_dtype(dtype: str, allowed: Sequence[str]) -> None:
    if dtype not in allowed:
        raise ValueError(f"dtype must be one of {', '.join(map(repr, allowed))}, got {dtype!r}")


def _check_rows(X: NDArray[Any], chains: Sequence[Chain]) -> None:
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
    kernel: Kernel, X: ArrayLike, Z: ArrayLike | None, *, dtype: str, n_threads: int | None
) -> NDArray[Any]:
    """Gram matrix; see `Kernel.__call__`."""
    _check_dtype(dtype, ("float64", "float32"))
    rows = as_rows(X, "X")
    columns = None if Z is None else as_rows(Z, "Z")
    if columns is not None and columns.shape[1] != rows.shape[1]:
        raise ValueError(f"Z must have {rows.shape[1]} features as X has, got {columns.shape[1]}")
    chain = chain_of(kernel, rows.shape[1])
    for side in (rows, columns):
        if side is not None:
            _check_rows(side, [chain])
    n_pairs = len(rows) * len(rows if columns is None else columns)
    try:
        return _core.gram(
            _mapped(rows, chain),
            None if columns is None else _mapped(columns, chain),
            chain.as_dict(),
            dtype == "float32",
            _threads(n_threads, n_pairs),
            None,
        )
    except OverflowError as error:
        raise ValueError(f"X is out of range for {kernel!r}: {error}") from None


def diagonal(kernel: Kernel, X: ArrayLike) -> NDArray[np.float64]:
    """Diagonal of the Gram matrix; see `Kernel.diag`."""
    rows = as_rows(X, "X")
    chain = chain_of(kernel, rows.shape[1])
    _check_rows(rows, [chain])
    try:
        return _core.diagonal(_mapped(rows, chain), chain.as_dict())
    except OverflowError as error:
        raise ValueError(f"X is out of range for {kernel!r}: {error}") from None


def _mapped(X: NDArray[Any], chain: Chain) -> NDArray[Any]:
    """The rows that the core sees: X, or X times the factor of an adaptive kernel."""
    return X if chain.factor is None else X.astype(np.float64, copy=False) @ chain.factor


def _mapping_error(X: NDArray[Any], rows: NDArray[np.float64], chain: Chain) -> float:
    """Relative error of the rows X L in units of 2^-53: |fl(x L) - x L| <= (d0 + 2) u |x| |L|, once for norm and angle each.

    A row enters k twice. L itself, of fl(L L^T) = Sigma + dSigma with |dSigma| <= (d0 + 1) u |L| |L^T|, adds as much.
    """
    assert chain.factor is not None
    worst = 0.0
    for start in range(0, len(X), 4096):
        part = slice(start, start + 4096)
        lengths = np.linalg.norm(rows[part], axis=1)
        sizes = np.linalg.norm(np.abs(X[part]).astype(np.float64) @ np.abs(chain.factor), axis=1)
        worst = max(worst, float(np.max(sizes[lengths > 0] / lengths[lengths > 0], initial=0.0)))
    return 8.0 * float(X.shape[1] + 2) * worst


def adaptive_gram(
    W: NDArray[np.float64], activation: Any, scale: float, n_threads: int | None
) -> NDArray[np.float64]:
    """Scale times kappa of the inner products of the rows of W (N, r): (N, N), exactly symmetric."""
    chain = adaptive_chain(activation, W.shape[1], scale=scale)
    return _core.gram(W, None, chain.as_dict(), False, _threads(n_threads, len(W) ** 2), None)


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
    threads = _threads(n_threads, len(W) ** 2)
    return _core.product(W, chain.as_dict(), *inverse, factor, threads)


def problem_hash(X: NDArray[Any], classes: NDArray[np.int32], kernel: Kernel, dtype: str) -> str:
    """Identifies X, y, kernel, dtype and instruction set: what fixes the bits of every sum."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((X.shape, str(X.dtype), repr(kernel), dtype, _core.isa())).encode())
    for chunk in row_chunks(X):
        digest.update(np.ascontiguousarray(chunk).tobytes())
    digest.update(classes.tobytes())
    return digest.hexdigest()


def kernel_sums(
    X: NDArray[Any],
    classes: NDArray[np.int32],
    labels: NDArray[Any],
    kernels: Sequence[Kernel],
    *,
    dtype: str,
    row_sums: bool,
    n_threads: int | None,
    part: tuple[int, int] = (0, 1),
    identify: bool = False,
    progress: Progress | None = None,
) -> list[ClassSums]:
    """One pass (one per input layer) over the pairs of rows, for all kernels.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        As `as_rows` gives it.
    classes, labels
        As `as_labels` gives them.
    part : (index, count)
        Which share of the panel rows.
    identify : bool
        Whether the sums shall know their problem, so that parts can be joined: costs a hash of X.
    """
    sizes = np.bincount(classes, minlength=len(labels)).astype(np.int64)
    order = np.argsort(classes, kind="stable").astype(np.int64, copy=False)
    single_within, single_between = PRECISIONS[dtype]
    unit = {True: 2.0**-24, False: 2.0**-53}
    tile_panels = int(os.environ.get("NC1FAST_TILE_PANELS", "0"))
    out: dict[int, ClassSums] = {}
    for chains in chains_of(kernels, X.shape[1]):
        _check_rows(X, chains)
        rows = _mapped(X, chains[0])
        positions = [k for chain in chains for k in chain.kernels]
        try:
            results = _core.class_sums(
                rows,
                order,
                sizes.tolist(),
                [chain.as_dict() for chain in chains],
                single_within,
                single_between,
                row_sums,
                _threads(n_threads, len(X) ** 2 // 2 * len(positions)),
                *part,
                tile_panels,
                progress,
            )
        except OverflowError as error:
            names = ", ".join(repr(kernels[k]) for k in positions)
            raise ValueError(f"X is out of range for {names}: {error}") from None
        taken = [(chain, level) for chain in chains for level, *_ in chain.outputs]
        for position, (chain, level), raw in zip(positions, taken, results, strict=True):
            settings = {
                "depth": rows.shape[1] + (chain.input_layer[1] > 0),
                "n_duals": level,
                "unit_within": unit[single_within],
                "unit_between": unit[single_between],
                "stable": chain.stable,
                "mapping": 0.0 if chain.factor is None else _mapping_error(X, rows, chain),
            }
            kernel = kernels[position]
            exact = PassSums(
                problem_hash(X, classes, kernel, dtype) if identify else "",
                part[1],
                frozenset({part[0]}),
                raw["block"],
                raw["exponent"],
                raw["sensitivity"],
                raw["sensitivity_exponent"],
                {
                    name: raw[name]
                    for name in (
                        "traces",
                        "slopes",
                        "slope_squares",
                        "spread_slopes",
                        "sensitivity_diagonal",
                    )
                },
                settings,
                raw.get("rows"),
                {
                    "row": raw["row_scale"],
                    "column": raw["column_scale"],
                    "row_within": raw["row_scale_within"],
                    "k": raw["k"],
                }
                if row_sums
                else None,
            )
            out[position] = from_pass(exact, sizes, labels, kernel, order, in_place=part[1] == 1)
    return [out[k] for k in range(len(kernels))]
