"""The exact method: all pairs of rows, by whichever road the kernel takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nc1fast.core.backend import in_range
from nc1fast.core.machine import thread_count
from nc1fast.inputs.sequences import Sequences
from nc1fast.kernels.classes import Kernel
from nc1fast.methods.request import WHOLE
from nc1fast.metrics.result import collapse_from_sums
from nc1fast.metrics.rows import feature_statistics
from nc1fast.sums.given import called, feature_sums, of_sequences, precomputed, tile_sums
from nc1fast.sums.settings import ROW_SUMS, check_memory
from nc1fast.sums.streaming import kernel_sums, survey
from nc1fast.support.progress import reporting, staged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.methods.request import Execution, Request
    from nc1fast.metrics.result import Collapse
    from nc1fast.sums.class_sums import ClassSums
    from nc1fast.sums.settings import Settings


def by_exact(
    request: Request,
    data: LabelledData,
    kernels: Sequence[Any],
    settings: Settings,
    execution: Execution,
) -> list[Collapse]:
    """Collapse of each kernel, from the sums over all pairs of rows."""
    if kernels[0] is None and not request.keep_rows and settings.row_sums:
        return [_of_features(request, data, settings, execution)]
    sums, results = exact_sums(data, kernels, settings, execution), []
    while sums:  # the row sums of a kernel are freed as soon as its metrics are known
        results.append(
            collapse_from_sums(sums.pop(0), request.convention, keep_rows=request.keep_rows)
        )
    return results


def _of_features(
    request: Request, data: LabelledData, settings: Settings, execution: Execution
) -> Collapse:
    """Collapse of explicit features, of whose row-class sums the digest is computed alone."""
    without_rows = replace(settings, statistics="sums")
    (sums,) = exact_sums(data, [None], without_rows, execution)
    n_threads = thread_count(settings.n_threads)
    rows = feature_statistics(data, sums, n_threads)
    return collapse_from_sums(
        sums, request.convention, keep_rows=False, rows=rows, n_threads=n_threads
    )


def exact_sums(
    data: LabelledData, kernels: Sequence[Any], settings: Settings, execution: Execution
) -> list[ClassSums]:
    """Class sums of each kernel over all pairs of rows, or over a part of them.

    Parameters
    ----------
    data : LabelledData
        Rows as their kernel takes them: features, or rows of a Gram matrix.
    kernels : sequence
        Kernel objects, which share a pass; or one of None (explicit features), "precomputed" and a
        callable.
    settings : Settings
    execution : Execution

    Raises
    ------
    ValueError
        For a part, a device, an executor or a journal where there is no kernel object, and as
        `nc1fast.class_sums`.
    """
    if isinstance(data.rows, Sequences):
        return _sequence_sums(data, kernels, settings, execution)
    if execution.shared:
        return _shared_sums(data, kernels, settings, execution)
    if isinstance(kernels[0], Kernel):
        with reporting(execution.progress) as report:
            surveyed = survey(data, kernels, settings) if execution.identify else None
            part = execution.part
            return kernel_sums(
                data, kernels, settings, part=part, surveyed=surveyed, progress=report
            )
    if execution.part != WHOLE or settings.device != "cpu":
        raise ValueError(
            "part and device need a kernel object: explicit features, Gram matrices and callables "
            "are summed on the CPU"
        )
    (kernel,) = kernels
    if kernel is None:
        _check_room(settings, data, 1 if settings.row_sums else 0, data.n_features)
        n_threads = thread_count(settings.n_threads)
        return [feature_sums(data, rows=settings.row_sums, n_threads=n_threads)]
    if isinstance(kernel, str):
        tile = precomputed(data.rows)
    else:
        _check_room(settings, data, 2)
        tile = called(kernel, data.rows)
    with reporting(execution.progress) as report:
        row_sums = settings.row_sums
        return [tile_sums(tile, data.classes, kernel, row_sums=row_sums, progress=report)]


def _sequence_sums(
    data: LabelledData, kernels: Sequence[Any], settings: Settings, execution: Execution
) -> list[ClassSums]:
    """Class sums of recurrent kernels, one after the other.

    Raises
    ------
    ValueError
        For a part, a device, an executor, a journal or mixed precision, none of which they have;
        and as `collapse`.
    """
    refused = {
        "executor and journal": execution.shared,
        "part": execution.part != WHOLE,
        "device": settings.device != "cpu",
        "dtype='mixed'": settings.dtype == "mixed",
    }
    for name, given in refused.items():
        if given:
            raise ValueError(
                f"{name} cannot be used with sequences, which this process sums on the CPU in one "
                "type"
            )
    _check_room(settings, data, 2)
    sums = []
    with reporting(execution.progress) as report:
        for kernel, own in zip(kernels, staged(report, len(kernels)), strict=True):
            tile = of_sequences(kernel, data.rows, settings)
            with in_range(kernel):
                sums.append(
                    tile_sums(tile, data.classes, kernel, row_sums=settings.row_sums, progress=own)
                )
    return sums


def _shared_sums(
    data: LabelledData, kernels: Sequence[Any], settings: Settings, execution: Execution
) -> list[ClassSums]:
    """Class sums by the workers of an executor, or recorded in a journal."""
    from nc1fast.distributed.planning import planned
    from nc1fast.distributed.problem import Problem
    from nc1fast.distributed.reducing import reduce

    plan = planned(Problem.of(data, kernels, settings), execution.executor)
    return reduce(plan, execution.executor, journal=execution.journal, progress=execution.progress)


def _check_room(
    settings: Settings, data: LabelledData, n_row_sums: int, n_features: int = 0
) -> None:
    """Raise ValueError if sums that are not divided into blocks exceed the memory limit;
    `n_features` of explicit ones.
    """
    n_classes = len(data.classes)
    needed = {
        ROW_SUMS: 8 * data.n_samples * n_classes * n_row_sums,
        "class pairs": 64 * min(n_classes, n_features or n_classes) ** 2,
        "class means": 64 * n_classes * n_features,
    }
    check_memory(settings.memory_limit, needed)
