"""Arguments of a call beside its `Settings`: data, kernels, the method, and how a pass over all
pairs is carried out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast.datasets.paths import labelled
from nc1fast.inputs.labelled import LabelledData
from nc1fast.kernels.classes import Kernel
from nc1fast.kernels.registry import hint
from nc1fast.metrics.definitions import CONVENTIONS
from nc1fast.support.arguments import (
    as_count,
    as_flag,
    as_items,
    as_number,
    as_seed,
    check_choice,
    shown,
)
from nc1fast.support.progress import check_progress

if TYPE_CHECKING:
    from collections.abc import Callable

METHODS = ("exact", "shortcut", "features", "pairs", "auto")
WHOLE = (0, 1)  # the one part of one


@dataclass(frozen=True)
class Request:
    """Requested metrics, and the method; the fields are arguments of `nc1fast.collapse`.

    Raises
    ------
    TypeError, ValueError
        For an unknown method or convention, a number out of range, and a tolerance or seed for a
        method without draws.
    """

    method: str = "exact"
    convention: str | None = None
    tolerance: float | None = None
    confidence: float = 0.95
    seed: int | None = None
    keep_rows: bool = False

    def __post_init__(self) -> None:
        if self.convention is not None:
            check_choice("convention", self.convention, CONVENTIONS)
        check_choice("method", self.method, METHODS)
        checked: dict[str, Any] = {
            "tolerance": None
            if self.tolerance is None
            else as_number("tolerance", self.tolerance, above=0),
            "seed": None if self.seed is None else as_seed(self.seed),
            "confidence": as_number("confidence", self.confidence, above=0, below=1),
            "keep_rows": as_flag("keep_rows", self.keep_rows),
        }
        if self.method in ("exact", "shortcut"):
            for name in ("tolerance", "seed"):
                if checked[name] is not None:
                    raise ValueError(
                        f"{name} belongs to method='auto', 'features' or 'pairs', not to "
                        f"{self.method!r}"
                    )
        for name, value in checked.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Execution:
    """How a pass over all pairs is carried out, and what it reports; see `nc1fast.class_sums`.

    Attributes
    ----------
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
    journal : path-like, optional
    part : (index, count)
        Share of the pairs of rows that is summed.
    identify : bool
        Whether the sums know their problem, so that parts can be added.
    progress : bool or callable(done, total)

    Raises
    ------
    TypeError, ValueError
        For a part that does not exist, or that an executor or a journal would divide again, and for
        a progress that is neither.
    """

    executor: Any = None
    journal: Any = None
    part: tuple[int, int] = WHOLE
    identify: bool = False
    progress: bool | Callable[[int, int], object] = False

    def __post_init__(self) -> None:
        check_progress(self.progress)
        if self.part is not WHOLE:
            object.__setattr__(self, "part", _checked_part(self.part))
        if self.shared and self.part != WHOLE:
            raise ValueError("part and executor or journal exclude each other")

    @property
    def shared(self) -> bool:
        """Whether the pass is divided into bundles, for workers or a journal."""
        return self.executor is not None or self.journal is not None


def _checked_part(part: Any) -> tuple[int, int]:
    """The pair (index, count), 0 <= index < count."""
    pair = as_items("part", part, "(index, count)")
    if len(pair) != 2:
        raise TypeError(f"part must be (index, count), got {shown(part)}")
    index, count = as_count("part[0]", pair[0], 0), as_count("part[1]", pair[1])
    if index >= count:
        raise ValueError(f"part must be (index, count) with 0 <= index < count, got {shown(part)}")
    return index, count


def as_kernels(kernel: Any) -> list[Any]:
    """Kernel objects, or what stands for one: None, "precomputed" or a callable."""
    if isinstance(kernel, list | tuple):
        if not kernel:
            raise ValueError("kernel must not be an empty list")
        if not all(isinstance(one, Kernel) for one in kernel):
            wrong = next(one for one in kernel if not isinstance(one, Kernel))
            raise TypeError(
                f"kernel must be a kernel or a list of kernels, got {shown(kernel)}{hint(wrong)}"
            )
        if len({one.of_sequences for one in kernel}) > 1:
            raise ValueError("kernels of sequences and kernels of rows cannot share a call")
        return list(kernel)
    if isinstance(kernel, str):
        known = kernel == "precomputed"
    else:
        known = kernel is None or (callable(kernel) and not isinstance(kernel, type))
    if not known:
        kind = ValueError if isinstance(kernel, str) else TypeError
        raise kind(
            "kernel must be a kernel object, a callable or 'precomputed', "
            f"got {shown(kernel)}{hint(kernel)}"
        )
    return [kernel]


def as_labelled(X: Any, y: Any, kernel: Any, device: str = "cpu") -> LabelledData:
    """Rows as a kernel takes them, and their classes; rows of the device stay on it."""
    if not isinstance(kernel, str):
        X, y = labelled(X, y)
    if kernel is None:
        return LabelledData.of_features(X, y)
    if isinstance(kernel, str):
        return LabelledData.of_gram(X, y)
    if isinstance(kernel, Kernel) and kernel.of_sequences:
        return LabelledData.of_sequences(X, y)
    # The survey and the estimators look for NaN and Inf in a file themselves.
    if isinstance(kernel, Kernel):
        return LabelledData.of(X, y, unread=True, device=device)
    return LabelledData.of(X, y)
