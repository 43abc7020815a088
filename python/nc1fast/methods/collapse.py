"""`collapse`, `collapse_each` and `class_sums`: from data and kernels to metrics and sums."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, overload

from nc1fast.inputs.files import guards_files
from nc1fast.methods import Execution, Request, collapse_by, exact_sums
from nc1fast.methods.each import each_by
from nc1fast.methods.request import as_kernels, as_labelled
from nc1fast.sums.settings import Settings
from nc1fast.support.arguments import seed_of
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import check_progress
from nc1fast.support.warnings import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import ArrayLike

    from nc1fast.kernels.classes import Kernel
    from nc1fast.metrics.result import Collapse
    from nc1fast.sums.class_sums import ClassSums
    from nc1fast.support.progress import Progress

    OneKernel = Kernel | str | Callable[..., Any] | None

    class EachOptions(TypedDict, total=False):
        """Keywords of `collapse_each`, for type checkers."""

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
        keep_rows: bool
        progress: Progress
        rng: int | np.random.Generator | None

    class CallOptions(EachOptions, total=False):
        """Keywords of `collapse`, for type checkers."""

        executor: Any
        journal: Any


_TARGETS = 10  # different floats that are taken for targets


@overload
def collapse(
    X: ArrayLike, y: ArrayLike, kernel: OneKernel = None, **options: Unpack[CallOptions]
) -> Collapse: ...
@overload
def collapse(
    X: ArrayLike, y: ArrayLike, kernel: Sequence[Kernel], **options: Unpack[CallOptions]
) -> list[Collapse]: ...
@ieee
@guards_files
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
    rng: int | np.random.Generator | None = None,
) -> Collapse | list[Collapse]:
    """How collapsed are the features that a kernel gives to labelled data? One streaming pass,
    never N x N.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or path
        Data; explicit features if `kernel` is None; a symmetric Gram matrix (n_samples, n_samples)
        if it is "precomputed". Anything with `__array__` or DLPack: NumPy, torch, CuPy (from a
        device by one copy, or in place where `device` is that device). What lies in a file stays
        there: the path of an .npy file, "FILE.npz::NAME", "FILE.h5::NAME", "FILE.zarr::NAME",
        "FILE.parquet::COLUMN,COLUMN"; a memory map; an array of h5py, zarr or dask. Names are left
        out where they are the usual ones. Every other file or folder that `nc1fast.datasets.load`
        reads is loaded: "FILE.csv", "FILE.tsv.gz::COLUMN,COLUMN", ... For recurrent kernels
        sequences in memory: (n_samples, n_steps, n_features), a list of arrays (n_steps_i,
        n_features), or `Sequences`.
    y : array-like of shape (n_samples,), path, or part of the file X
        Where X is a path, the name of an array or a column of its file, the index of a column, or
        None for the usual one (see `nc1fast.datasets.load`): a column of labels is none of the
        data, and where y is an array neither is one named as labels are. Labels that can be sorted:
        numbers, text, dates or Python objects. Those of one class are equal and of one type; a
        mixture in which that is not certain, and NaN or masked ones, are refused.
    kernel : Kernel, sequence of Kernel, "precomputed", callable or None
        Kernels of a list share one pass (one per input layer: kernels whose
        bias_variance[0]/weight_variance[0] differ need another). A callable f(X_I, X_J) returns the
        tile (len(X_I), len(X_J)) of a symmetric kernel.
    convention : {"papyan", "probe", "class", "sample", "released"}, optional
        Weights of the classes; default "papyan". All conventions agree where classes are balanced.
    statistics : {"all", "sums"}, default "all"
        "sums" needs O(C^2) memory and leaves nc1_pinv, nearest_center and ncc_accuracy None.
    dtype : {"float64", "float32", "mixed"}, default "float64"
        Arithmetic of the tiles; "mixed": float64 within classes, float32 between them. Sums are
        exact in each.
    method : {"exact", "shortcut", "features", "pairs", "auto"}, default "exact"
        "exact": all pairs. "shortcut": exact in less than N^2 steps, for few features
        (`nc1fast.shortcuts`). "features", "pairs": estimates with an interval, from random hidden
        units or sampled pairs of rows (`nc1fast.estimators`). "auto": whichever is predicted
        fastest; without `tolerance` only exact and shortcut are considered. `reason` says why.
    tolerance : float, optional
        Half the width of the interval that an estimate is to reach, relative to nc1.
    confidence : float, default 0.95
        Probability with which the interval covers nc1.
    seed : int, optional
        Seed of the random draws; default 0. The same seed gives the same bits.
    device : {"cpu", "cuda", "cuda:INDEX", "cuda:all"}
        Where the tiles of a kernel object are computed; see `nc1fast.cuda`. Bit-identical on any
        number of devices of one compute capability.
    n_threads : int, optional
        Default: NC1FAST_NUM_THREADS, OMP_NUM_THREADS, or the processors of this process. The bits
        do not depend on it.
    memory_limit : int, optional
        Bytes that a pass may take beyond X and y: rows are then packed block by block, and read
        again for every block that they meet. A ValueError says what is needed at least. The bits do
        not depend on it.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Workers that share the pass; kernel objects only. See `nc1fast.distributed`.
    journal : path-like, optional
        File that records finished work, so that the same call resumes after a kill. Kernel objects
        only.
    keep_rows : bool, default False
        Whether the result keeps the row-class sums (N C float64).
    progress : bool or callable(done, total), default False
        Progress of a pass over pairs of rows, in tiles or bundles. True: a bar on standard error
        (extra "cli"). A callable is called once for each state, and with done == total last; an
        error that it raises ends the pass.
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Returns
    -------
    Collapse, or a list of them for a list of kernels

    Raises
    ------
    TypeError
        For data that are not real numbers, labels that cannot be sorted, kernels that are none.
    ValueError
        For shapes that do not fit, NaN or Inf, one class, unknown names, features not built yet,
        data too large for a kernel that grows (exp), what exceeds `memory_limit`, a journal of
        another problem, and a file that is damaged, is no regular file or changes while it is read.
        The message names the argument.
    OSError
        For a file that cannot be read or is cut short, a journal that cannot be written, and a full
        disk. What is recorded stays.
    ImportError
        For a kind of file whose package is not installed.
    RuntimeError
        For an executor that is broken. `nc1fast.cuda.DeviceError`: no driver, no device, or a build
        without CUDA.
    MemoryError
        If a device has too little memory for two blocks of rows.

    Warns
    -----
    UserWarning
        Once, when class sizes differ by more than 10 % and no convention was named. Where labels
        are different floats for each of ten rows or more, as targets of a regression are.
    AccuracyWarning
        When the error bound exceeds 1 % of nc1, or nc1 is infinite.

    Notes
    -----
    Cost: N^2 d0 flops and N^2/2 kernel values per kernel; packed rows 2 N d0 numbers or what
    `memory_limit` leaves for them, and 8 N C bytes per kernel for "all". Explicit features: O(N d0
    C).
    Files: rows are read with pread into small buffers; their pages are never mapped. They need not
    be sorted by class: one read per run of rows, about a microsecond each while the system has the
    file in its cache. What does not lie in the file as plain rows (compressed, chunked,
    column-major or byte-swapped arrays, columns, 64-bit integers, dask) is streamed once into a
    temporary file of float32 or float64 rows under TMPDIR, removed afterwards.
    Accuracy: `error_bound` covers everything after X as given. NNGP and NTK of the ReLU family at
    any depth and of erf at depth 2 keep full relative accuracy however collapsed the features are.
    Source: Papyan, Han & Donoho (2020) for NC1; Lee et al. (2018), Jacot et al. (2018) for the
    kernels.

    Examples
    --------
    >>> import nc1fast as nc
    >>> X, y = nc.datasets.paper_d1(512, 8, seed=0)
    >>> nc.collapse(X, y, nc.NNGP("relu")).nc1 < nc.collapse(X, y, nc.NTK("relu")).nc1
    True
    """
    settings = Settings(statistics, dtype, device, n_threads, memory_limit)
    request = Request(
        method, convention, tolerance, confidence, seed_of(rng, seed, None), keep_rows
    )
    execution = Execution(executor, journal, progress=progress)
    results = _evaluated(X, y, settings, execution, kernels=as_kernels(kernel), request=request)
    return results if isinstance(kernel, list | tuple) else results[0]


@overload
def collapse_each(
    data_sets: Iterable[tuple[ArrayLike, ArrayLike]],
    kernel: OneKernel = None,
    **options: Unpack[EachOptions],
) -> list[Collapse]: ...
@overload
def collapse_each(
    data_sets: Iterable[tuple[ArrayLike, ArrayLike]],
    kernel: Sequence[Kernel],
    **options: Unpack[EachOptions],
) -> list[list[Collapse]]: ...
@ieee
def collapse_each(
    data_sets: Iterable[tuple[ArrayLike, ArrayLike]],
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
    keep_rows: bool = False,
    progress: Progress = False,
    rng: int | np.random.Generator | None = None,
) -> list[Collapse] | list[list[Collapse]]:
    """Collapse of many data sets under the same kernel or kernels: small ones run beside each
    other, a thread for each.

    Parameters
    ----------
    data_sets : iterable of (X, y)
        Pairs as `collapse` takes them, of any sizes and kinds. A generator yields the next
        one when there is a thread for it: `n_threads` + 2 of them are in memory at most.
    kernel : Kernel, sequence of Kernel, "precomputed", callable or None
        Of all data sets. A callable is called by the calling thread alone.
    convention, statistics, dtype, method, tolerance, confidence, seed, device, memory_limit,
    keep_rows
        As in `collapse`, of each data set by itself.
    n_threads : int, optional
        Threads of the whole call, as in `collapse`. The bits do not depend on it.
    progress : bool or callable(done, total), default False
        As in `collapse`, in hundredths of a data set; `data_sets` must have a length then.
    rng : None, int or numpy.random.Generator, optional
        As in `collapse`: one seed, which is that of all data sets.

    Returns
    -------
    list of Collapse, or a list of lists for a list of kernels
        In the order of the data sets, with the bits of `collapse` of each.

    Raises
    ------
    TypeError, ValueError, OSError, ImportError, MemoryError
        As `collapse` of the first data set that is at fault; the message begins with its number, as
        in "data_sets[3]: X must ...", and its cause is the error of `collapse`. An error of the
        iterable itself is raised when all before it are done.

    Warns
    -----
    UserWarning, AccuracyWarning
        As `collapse`, with the number of the data set.

    Notes
    -----
    Cost: that of `collapse` for each, less the checks of kernel and options, over the threads.
    Beside each other run data sets of 300 to 2,000 rows of 128 features (or as much work) that are
    arrays in memory, by method="exact" on the CPU without `memory_limit`; on a free-threaded Python
    smaller ones, too. All others have all threads one after the other. An executor or a journal is
    for one data set: `collapse`.

    Examples
    --------
    >>> import nc1fast as nc
    >>> data_sets = (nc.datasets.paper_d1(128, 8, seed=s) for s in range(20))
    >>> results = nc.collapse_each(data_sets, nc.NTK("relu"))
    >>> len(results)
    20
    """
    settings = Settings(statistics, dtype, device, n_threads, memory_limit)
    request = Request(
        method, convention, tolerance, confidence, seed_of(rng, seed, None), keep_rows
    )
    check_progress(progress)
    kernels = as_kernels(kernel)
    evaluate = partial(ieee(guards_files(_evaluated)), kernels=kernels, request=request)
    results = each_by(evaluate, data_sets, kernels, settings, request, progress)
    return results if isinstance(kernel, list | tuple) else [own for (own,) in results]


@ieee
@guards_files
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
        Only this share of the pairs of rows, of `count` nearly equal ones. The sums of all parts,
        added in any order, have the bits of the whole. Kernel objects only.

    Returns
    -------
    ClassSums, or a list of them for a list of kernels

    Raises
    ------
    TypeError, ValueError
        As in `collapse`; for a part that does not exist, and one that `executor` or `journal` would
        cut again.
    OSError, RuntimeError
        As in `collapse`.

    Notes
    -----
    Cost: as `collapse`, and a hash of X, which identifies the problem; rows on a device are brought
    to the host for it.
    """
    settings = Settings(statistics, dtype, device, n_threads, memory_limit)
    execution = Execution(executor, journal, part, identify=True, progress=progress)
    kernels = as_kernels(kernel)
    sums = exact_sums(as_labelled(X, y, kernels[0]), kernels, settings, execution)
    return sums if isinstance(kernel, list | tuple) else sums[0]


def _evaluated(
    X: Any,
    y: Any,
    settings: Settings,
    execution: Execution,
    *,
    kernels: list[Any],
    request: Request,
) -> list[Collapse]:
    """Collapse of one data set under each kernel."""
    exact = request.method == "exact" and not execution.shared
    data = as_labelled(X, y, kernels[0], settings.device if exact else "cpu")
    if data.classes.labels.dtype.kind == "f" and len(data.classes) == data.n_samples >= _TARGETS:
        warn(
            f"y holds {data.n_samples} different floats, one for each row: NC1 of classes of one "
            "row is 0 whatever the features are. Are they targets of a regression, as of "
            "nc1fast.regression_collapse?"
        )
    return collapse_by(request, data, kernels, settings, execution)
