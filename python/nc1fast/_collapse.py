"""`collapse` and `class_sums`: from data and kernels to metrics and sums."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, overload

from nc1fast.feature_sums import feature_sums
from nc1fast.inputs.arrays import as_matrix, as_rows
from nc1fast.inputs.files import as_source, read_gram, read_labels, steady
from nc1fast.inputs.labelled import Classes, LabelledData
from nc1fast.kernels.classes import Kernel
from nc1fast.methods import Request, checked_method, collapse_by
from nc1fast.metrics.result import CONVENTIONS, Collapse, collapse_from_sums
from nc1fast.sums.given_tiles import called, precomputed, tile_sums
from nc1fast.sums.settings import Settings as PassSettings
from nc1fast.sums.streaming import kernel_sums
from nc1fast.support.arguments import as_count, as_flag, as_items, as_number, check_choice, shown
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import check_progress, reporting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike
    from typing_extensions import TypedDict, Unpack

    from nc1fast.sums.class_sums import ClassSums

    OneKernel = Kernel | str | Callable[..., Any] | None
    Progress = bool | Callable[[int, int], object]

    class Settings(TypedDict, total=False):
        """Keywords of `collapse`, for type checkers."""

        convention: str | None
        statistics: str
        dtype: str
        method: str
        tolerance: float | None
        confidence: float
        seed: int | None
        device: str
        n_threads: int | None
        memory_limit: int | None
        executor: Any
        journal: Any
        keep_rows: bool
        progress: Progress


@overload
def collapse(
    X: ArrayLike, y: ArrayLike, kernel: OneKernel = None, **settings: Unpack[Settings]
) -> Collapse: ...
@overload
def collapse(
    X: ArrayLike, y: ArrayLike, kernel: Sequence[Kernel], **settings: Unpack[Settings]
) -> list[Collapse]: ...
@ieee
@steady
def collapse(
    X: ArrayLike,
    y: ArrayLike,
    kernel: OneKernel | Sequence[Kernel] = None,
    *,
    convention: str | None = None,
    statistics: str = "all",
    dtype: str = "float64",
    method: str = "exact",
    tolerance: float | None = None,
    confidence: float = 0.95,
    seed: int | None = None,
    device: str = "cpu",
    n_threads: int | None = None,
    memory_limit: int | None = None,
    executor: Any = None,
    journal: Any = None,
    keep_rows: bool = False,
    progress: Progress = False,
) -> Collapse | list[Collapse]:
    """How collapsed are the features that a kernel gives to labelled data? One streaming pass, never N x N.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or path
        Data; explicit features if `kernel` is None; a symmetric Gram matrix (n_samples, n_samples) if it is
        "precomputed". Anything with `__array__` or DLPack: NumPy, torch, CuPy (from a device by one copy). What lies in a file stays there: the
        path of an .npy file, "FILE.npz::NAME", "FILE.h5::NAME", "FILE.zarr::NAME", "FILE.parquet::COLUMN,COLUMN"; a
        memory map; an array of h5py, zarr or dask.
    y : array-like of shape (n_samples,), or path
        Labels that can be sorted: numbers, text, dates or Python objects. Those of one class are equal and of one type; a mixture
        in which that is not certain, and NaN or masked ones, are refused.
    kernel : Kernel, sequence of Kernel, "precomputed", callable or None
        Kernels of a list share one pass (one per input layer: kernels whose bias_variance[0]/weight_variance[0]
        differ need another). A callable f(X_I, X_J) returns the tile (len(X_I), len(X_J)) of a symmetric kernel.
    convention : {"papyan", "probe", "class", "sample", "released"}, optional
        How classes are weighted; default "papyan". They agree on balanced classes.
    statistics : {"all", "sums"}, default "all"
        "sums" needs O(C^2) memory and leaves nc1_pinv, nearest_center and ncc_accuracy None.
    dtype : {"float64", "float32", "mixed"}, default "float64"
        Arithmetic of the tiles; "mixed": float64 within classes, float32 between them. Sums are exact in each.
    method : {"exact", "shortcut", "features", "pairs", "auto"}, default "exact"
        "exact": all pairs. "shortcut": exact in less than N^2 steps, for few features (`nc1fast.shortcuts`). "features", "pairs":
        estimates with an interval, from random hidden units or sampled pairs of rows (`nc1fast.estimators`). "auto": the one
        expected to be the fastest, without a tolerance of the first two; `reason` says which and why.
    tolerance : float, optional
        Half the width of the interval that an estimate shall have, relative to nc1.
    confidence : float, default 0.95
        Of that interval.
    seed : int, optional
        Of the draws; default 0. The same seed gives the same bits.
    device : {"cpu", "cuda", "cuda:INDEX", "cuda:all"}
        Who runs the tiles of a kernel object; see `nc1fast.cuda`. The bits are those of the device's kind, for one or many.
    n_threads : int, optional
        Default: NC1FAST_NUM_THREADS, OMP_NUM_THREADS, or the processors of this process. The bits do not depend on it.
    memory_limit : int, optional
        Bytes that a pass may take beyond X and y: rows are then packed block by block, and read again for every block that
        they meet. A ValueError says what is needed at least. The bits do not depend on it.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Whose workers share the pass; kernel objects only. See `nc1fast.distributed`.
    journal : path-like, optional
        File that records what is finished: the same call after a kill goes on from there. Kernel objects only.
    keep_rows : bool, default False
        Whether the result keeps the row-class sums (N C float64).
    progress : bool or callable(done, total), default False
        Of a pass over pairs of rows, in tiles or bundles. True: a bar on standard error (extra "cli"). A callable hears of
        each state once, and of done == total last; an error of its own ends the pass.

    Returns
    -------
    Collapse, or a list of them for a list of kernels

    Raises
    ------
    TypeError
        For data that are not real numbers, labels that cannot be sorted, kernels that are none.
    ValueError
        For shapes that do not fit, NaN or Inf, one class, unknown names, features not built yet, data too large for a
        kernel that grows (exp), what exceeds `memory_limit`, a journal of another problem, and a file that is damaged, is no
        regular file or changes while it is read. The message names the argument.
    OSError
        For a file that cannot be read or is cut short, a journal that cannot be written, and a full disk. What is
        recorded stays.
    ImportError
        For a kind of file whose package is not installed.
    RuntimeError
        For an executor that is broken. `nc1fast.cuda.DeviceError`: no driver, no device, or a build without CUDA.
    MemoryError
        If a device has too little memory for two blocks of rows.

    Warns
    -----
    UserWarning
        Once, when class sizes differ by more than 10 % and no convention was named.
    AccuracyWarning
        When the error bound exceeds 1 % of nc1, or nc1 is infinite.

    Notes
    -----
    Cost: N^2 d0 flops and N^2/2 kernel values per kernel; packed rows 2 N d0 numbers or what `memory_limit` leaves for
    them, and 8 N C bytes per kernel for "all". Explicit features: O(N d0 C).
    Files: rows are read with pread into small buffers; their pages are never mapped. They need not be sorted by class: one
    read per run of rows, about a microsecond each while the system has the file in its cache. What does not lie in the
    file as plain rows (compressed, chunked, column-major or byte-swapped arrays, columns, 64-bit integers, dask) is
    streamed once into a temporary file of float32 or float64 rows under TMPDIR, removed afterwards.
    Accuracy: `error_bound` covers everything after X as given. NNGP and NTK of the ReLU family at any depth and of erf
    at depth 2 keep full relative accuracy however collapsed the features are.
    Source: Papyan, Han & Donoho (2020) for NC1; Lee et al. (2018), Jacot et al. (2018) for the kernels.

    Examples
    --------
    >>> import nc1fast as nc
    >>> X, y = nc.datasets.paper_d1(512, 8, seed=0)
    >>> nc.collapse(X, y, nc.NNGP("relu")).nc1 < nc.collapse(X, y, nc.NTK("relu")).nc1
    True
    """
    if convention is not None:
        check_choice("convention", convention, CONVENTIONS)
    tolerance, seed = checked_method(method, tolerance, seed)
    confidence = as_number("confidence", confidence, above=0, below=1)
    keep_rows = as_flag("keep_rows", keep_rows)
    memory_limit = PassSettings(statistics, dtype, device, n_threads, memory_limit).memory_limit
    check_progress(progress)
    if method != "exact":
        if executor is not None or journal is not None or device != "cpu":
            raise ValueError("executor, journal and device belong to method='exact'")
        X, y = as_source(X), read_labels(y)
        settings = (tolerance, confidence, seed or 0, n_threads, keep_rows, memory_limit)
        request = Request(method, convention, statistics, dtype, *settings)
        with reporting(progress) as report:
            exact = partial(
                collapse,
                *(X, y),
                convention=convention,
                statistics=statistics,
                dtype=dtype,
                n_threads=n_threads,
                memory_limit=memory_limit,
                keep_rows=keep_rows,
                progress=report or False,
            )
            return collapse_by(request, X, y, kernel, exact)
    sums = _sums(
        *(X, y, kernel, statistics, dtype, n_threads, memory_limit, progress),
        device=device,
        executor=executor,
        journal=journal,
    )
    if isinstance(sums, list):
        results = []
        while sums:  # one at a time, so that the rows of a kernel go when its metrics are there
            results.append(collapse_from_sums(sums.pop(0), convention, keep_rows=keep_rows))
        return results
    return collapse_from_sums(sums, convention, keep_rows=keep_rows)


@ieee
@steady
def class_sums(
    X: ArrayLike,
    y: ArrayLike,
    kernel: OneKernel | Sequence[Kernel] = None,
    *,
    statistics: str = "all",
    dtype: str = "float64",
    device: str = "cpu",
    n_threads: int | None = None,
    memory_limit: int | None = None,
    part: tuple[int, int] = (0, 1),
    executor: Any = None,
    journal: Any = None,
    progress: Progress = False,
) -> ClassSums | list[ClassSums]:
    """Sums of a kernel over the pairs of each two classes, whole or in parts that can be added.

    Parameters
    ----------
    X, y, kernel, statistics, dtype, device, n_threads, memory_limit, executor, journal, progress
        As in `collapse`.
    part : (index, count), default (0, 1)
        Only this share of the pairs of rows, of `count` nearly equal ones. The sums of all parts, added in any order, have the
        bits of the whole. Kernel objects only.

    Returns
    -------
    ClassSums, or a list of them for a list of kernels

    Raises
    ------
    TypeError, ValueError
        As in `collapse`; for a part that does not exist, and one that `executor` or `journal` would cut again.
    OSError, RuntimeError
        As in `collapse`.

    Notes
    -----
    Cost: as `collapse`, and a hash of X, which identifies the problem.
    """
    memory_limit = PassSettings(statistics, dtype, device, n_threads, memory_limit).memory_limit
    check_progress(progress)
    return _sums(
        *(X, y, kernel, statistics, dtype, n_threads, memory_limit, progress, _checked_part(part)),
        device=device,
        executor=executor,
        journal=journal,
        identify=True,
    )


def _sums(
    X: Any,
    y: Any,
    kernel: Any,
    statistics: str,
    dtype: str,
    n_threads: int | None,
    memory_limit: int | None,
    progress: Progress,
    part: tuple[int, int] = (0, 1),
    *,
    device: str,
    executor: Any,
    journal: Any,
    identify: bool = False,
) -> ClassSums | list[ClassSums]:
    many = isinstance(kernel, list | tuple)
    kernels = list(kernel) if many else [kernel]
    if not kernels:
        raise ValueError("kernel must not be an empty list")
    if not all(isinstance(k, Kernel) for k in kernels):
        if many:
            raise TypeError(f"kernel must be a kernel or a list of kernels, got {shown(kernel)}")
        if part != (0, 1) or device != "cpu":
            raise ValueError(
                "part and device need a kernel object: explicit features, Gram matrices and callables are summed on the CPU"
            )
    if executor is not None or journal is not None:
        from nc1fast import distributed

        if part != (0, 1):
            raise ValueError("part and executor or journal exclude each other")
        plan = distributed.plan(
            *(X, y, kernels),
            statistics=statistics,
            dtype=dtype,
            device=device,
            n_threads=n_threads,
            memory_limit=memory_limit,
            executor=executor,
        )
        found = distributed.reduce(plan, executor, journal=journal, progress=progress)
        return found if many else found[0]
    row_sums = statistics == "all"
    y = read_labels(y)
    if not isinstance(kernel, str):
        X = as_source(X)
    if kernel is None:
        H = as_matrix(X, "X")
        classes = Classes.of(y, len(H))
        _check_memory(memory_limit, len(H), len(classes), 1 if row_sums else 0)
        return feature_sums(LabelledData(H, classes), rows=row_sums)
    if isinstance(kernel, str):
        if kernel != "precomputed":
            raise ValueError(
                f"kernel must be a kernel object, a callable or 'precomputed', got {shown(kernel)}"
            )
        tile, n = precomputed(read_gram(X))
        classes = Classes.of(y, n)
        with reporting(progress) as report:
            return tile_sums(tile, classes, kernel, row_sums=row_sums, progress=report)
    # The survey of a kernel object looks for NaN and Inf itself.
    rows = as_rows(X, "X", unread=isinstance(kernels[0], Kernel))
    classes = Classes.of(y, len(rows))
    if not isinstance(kernels[0], Kernel):
        if not callable(kernel) or isinstance(kernel, type):
            raise TypeError(
                f"kernel must be a kernel object, a callable or 'precomputed', got {shown(kernel)}"
            )
        _check_memory(memory_limit, len(rows), len(classes), 2)
        tile = called(kernel, rows)
        with reporting(progress) as report:
            return tile_sums(tile, classes, kernel, row_sums=row_sums, progress=report)
    with reporting(progress) as report:
        sums = kernel_sums(
            LabelledData(rows, classes),
            kernels,
            PassSettings(statistics, dtype, device, n_threads, memory_limit),
            part=part,
            identify=identify,
            progress=report,
        )
    return sums if many else sums[0]


def _checked_part(part: Any) -> tuple[int, int]:
    """(index, count) of `class_sums`."""
    pair = as_items("part", part, "(index, count)")
    if len(pair) != 2:
        raise TypeError(f"part must be (index, count), got {shown(part)}")
    index, count = as_count("part[0]", pair[0], 0), as_count("part[1]", pair[1])
    if index >= count:
        raise ValueError(f"part must be (index, count) with 0 <= index < count, got {shown(part)}")
    return index, count


def _check_memory(limit: float | None, n: int, n_classes: int, n_rows_kept: int) -> None:
    """What sums that are not divided into blocks take."""
    rows, pairs = 8 * n * n_classes * n_rows_kept, 64 * n_classes**2
    if limit is not None and rows + pairs > limit:
        raise ValueError(
            f"memory_limit is {limit} bytes, but {rows + pairs} are needed: {rows} for row-class sums "
            f"(statistics='sums' needs none), {pairs} for class pairs"
        )
