"""The pass over all pairs of rows, for one kernel or many: survey, rectangles of rows, exact sums.

rows, kernels  ->  chains, grouped by input layer  ->  survey: what all parts need to know about all rows
               ->  rectangles of rows that fit into memory  ->  integer sums, by whoever runs the tiles  ->  ClassSums
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast import _core, cuda
from nc1fast.core.backend import (
    bits_of,
    check_rows,
    in_range,
    mapping_errors,
    runner,
    threads_for,
)
from nc1fast.core.chains import Chain, chains_of
from nc1fast.inputs.arrays import row_chunks
from nc1fast.inputs.file_rows import FileRows
from nc1fast.sums.class_sums import ClassSums, PassSums, from_pass
from nc1fast.sums.memory import working_set
from nc1fast.sums.rectangles import divided, part_of
from nc1fast.sums.rounding import PER_CLASS
from nc1fast.support.arguments import check_choice
from nc1fast.support.progress import staged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from nc1fast.kernels.classes import Kernel
    from nc1fast.sums.rectangles import Rectangle

    Rows = NDArray[Any] | FileRows
    Progress = Callable[[int, int], object]

# Tiles within classes and between them, in single precision or not.
PRECISIONS = {"float64": (False, False), "float32": (True, True), "mixed": (False, True)}
_MOST_PANELS = 1 << 20  # of the side of a tile: beyond, it is the whole matrix
_DEVICE_ROW = 96  # bytes of a row on a device at most, beside those of the core and its sums: padding, norms, class


def check_pass(statistics: str, dtype: str, device: str = "cpu") -> None:
    """Raise ValueError or TypeError for settings that no pass has; DeviceError where a device is not."""
    check_choice("statistics", statistics, ("all", "sums"))
    check_choice("dtype", dtype, tuple(PRECISIONS))
    cuda.indices(device)


def _mapping_error(X: Rows, factor: NDArray[np.float64]) -> float:
    """Largest of `mapping_errors` over the rows."""
    return max(float(mapping_errors(chunk, factor).max(initial=0.0)) for chunk in row_chunks(X))


def problem_hashes(
    X: Rows,
    classes: NDArray[np.int32],
    kernels: Sequence[Kernel],
    dtype: str,
    device: str = "cpu",
) -> list[str]:
    """Identify X, y, each kernel, dtype and who runs the tiles: what fixes the bits of every sum. One reading of X."""
    data = hashlib.blake2b(digest_size=16)
    for chunk in row_chunks(X):
        data.update(np.ascontiguousarray(chunk).tobytes())
    data.update(classes.tobytes())
    about = (tuple(X.shape), str(X.dtype), data.hexdigest(), dtype, bits_of(device))
    return [
        hashlib.blake2b(repr((*about, repr(kernel))).encode(), digest_size=16).hexdigest()
        for kernel in kernels
    ]


@dataclass(frozen=True)
class Survey:
    """What every part of a pass needs to know about all rows.

    O(C d + C^2) numbers for each kernel, and with row sums 16 N bytes; beside them the order of the rows, which may be a
    memory map.
    """

    order: NDArray[np.int64]  # (N,) the caller's row at each sorted position
    passes: tuple[dict[str, Any], ...]  # of the core, one per input layer
    mappings: tuple[float, ...]  # `_mapping_error` of each
    problems: tuple[str, ...]  # hashes, one per kernel; empty where nothing is to be identified


@contextmanager
def _stored(X: Rows) -> Iterator[Any]:
    """Rows as the core takes them: an array, or a file that stays open for as long as the context."""
    if not isinstance(X, FileRows):
        yield X
        return
    file = os.open(X.path, os.O_RDONLY)
    try:
        yield (file, X.stored, X.offset, X.stride, *X.shape)
    finally:
        os.close(file)


def _tile_panels() -> int:
    """Panels of the sides of a tile by NC1FAST_TILE_PANELS, 0 for the core to choose: no bit depends on it."""
    text = os.environ.get("NC1FAST_TILE_PANELS", "").strip() or "0"
    if not text.isdecimal():
        raise ValueError(
            f"NC1FAST_TILE_PANELS must be a number of panels, or 0 for the default, got {text!r}"
        )
    return min(int(text), _MOST_PANELS)


class _Pass:
    """The kernels of one input layer on one data set, in the words of the core."""

    def __init__(
        self,
        X: Rows,
        classes: NDArray[np.int32],
        kernels: Sequence[Kernel],
        chains: Sequence[Chain],
        dtype: str,
        *,
        row_sums: bool,
        n_threads: int | None,
        device: str,
    ) -> None:
        self.runner = runner(device)
        self.X, self.classes, self.chains = X, classes, chains
        self.kernels = [kernels[k] for chain in chains for k in chain.kernels]
        self.sizes = np.bincount(classes).astype(np.int64)
        self.single = PRECISIONS[dtype]
        self.row_sums = row_sums
        self.threads = threads_for(n_threads, len(X) ** 2 // 2 * len(self.kernels))
        self.factor = chains[0].factor
        self.n_features = X.shape[1] if self.factor is None else self.factor.shape[1]

    def mapping(self) -> float:
        """Error of the rows themselves, where they are products."""
        return 0.0 if self.factor is None else _mapping_error(self.X, self.factor)

    def _call(self, function: Callable[..., Any], *order: Any, rest: tuple[Any, ...] = ()) -> Any:
        with _stored(self.X) as rows, in_range(*self.kernels):
            return function(
                *(rows, self.factor, *order, self.classes, self.sizes.tolist()),
                *([chain.as_dict() for chain in self.chains], *self.single, self.row_sums),
                *(self.threads, *rest),
            )

    def survey(self) -> dict[str, Any]:
        check_rows(self.X, self.chains)
        return self._call(_core.survey)  # type: ignore[no-any-return]

    def sums(
        self,
        order: NDArray[np.int64],
        rectangles: Sequence[Rectangle],
        survey: dict[str, Any] | None,
        progress: Progress | None,
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The survey, and the integers of each kernel."""
        if survey is None:
            check_rows(self.X, self.chains)
        rest = (survey, rectangles, _tile_panels(), progress, *self.runner.devices)
        return self._call(self.runner.module.class_sums, order, rest=rest)  # type: ignore[no-any-return]

    def rectangles(self, part: tuple[int, int], limit: float | None) -> list[Rectangle]:
        """The pairs of rows of a part, in pieces that fit into the memory of this machine and of the devices."""
        step = self.runner.module.row_step(*self.runner.devices)
        rectangles = part_of(len(self.X), part, step)
        chains = [chain.as_dict() for chain in self.chains]
        larger, both = _core.row_bytes(self.n_features, chains, *self.single, self.row_sums)
        room = self._room_on_device(larger, step)
        fits = all((b - a) + (d - c) * (a != c) <= room for a, b, c, d in rectangles)
        if limit is not None:
            need = working_set(
                *(len(self.X), self.X.shape[1], len(self.sizes), len(self.kernels), self.threads),
                layers=sum(len(chain.weights) for chain in self.chains),
                row_sums=self.row_sums,
            )
            if part[1] > 1 or need.total + both * (len(self.X) + step) > limit:
                fits = False
                room = min(room, int((limit - need.total) // larger) // step * step)
                if room < 2 * step:
                    raise ValueError(need.message(limit, 2 * step * larger))
        return rectangles if fits else divided(rectangles, room, step)

    def _room_on_device(self, row_bytes: int, step: int) -> int:
        """Rows that every device has memory for, with their sums."""
        if self.runner.memory == float("inf"):
            return 2 * (len(self.X) + step)
        k, c = len(self.kernels), len(self.sizes)
        a_row = row_bytes + _DEVICE_ROW + 8 * k * (c + 1) * self.row_sums
        room = int((self.runner.memory - 64 * k * c * c) // a_row) // step * step
        if room < 2 * step:
            raise MemoryError(
                f"{int(self.runner.memory)} bytes of a device are free for rows, but {2 * step * a_row + 64 * k * c * c} are "
                "needed at least" + " (statistics='sums' needs less)" * self.row_sums
            )
        return room


def survey(
    X: Rows,
    classes: NDArray[np.int32],
    kernels: Sequence[Kernel],
    *,
    dtype: str,
    row_sums: bool,
    n_threads: int | None,
    device: str = "cpu",
    identify: bool = True,
) -> Survey:
    """What the parts of a pass share, small enough to be sent to every worker: see `kernel_sums`.

    Notes
    -----
    Cost: two readings of X in its own order, and a third for the hash.
    """
    passes, mappings = [], []
    for chains in chains_of(kernels, X.shape[1]):
        one = _Pass(
            *(X, classes, kernels, chains, dtype),
            row_sums=row_sums,
            n_threads=n_threads,
            device=device,
        )
        passes.append(one.survey())
        mappings.append(one.mapping())
    problems = problem_hashes(X, classes, kernels, dtype, device) if identify else []
    return Survey(_sorted(classes), tuple(passes), tuple(mappings), tuple(problems))


def _sorted(classes: NDArray[np.int32]) -> NDArray[np.int64]:
    """Rows by class, those of a class in their order."""
    return np.argsort(classes, kind="stable").astype(np.int64, copy=False)


def kernel_sums(
    X: Rows,
    classes: NDArray[np.int32],
    labels: NDArray[Any],
    kernels: Sequence[Kernel],
    *,
    dtype: str,
    row_sums: bool,
    n_threads: int | None,
    device: str = "cpu",
    part: tuple[int, int] = (0, 1),
    memory_limit: float | None = None,
    identify: bool = False,
    surveyed: Survey | None = None,
    progress: Progress | None = None,
) -> list[ClassSums]:
    """One pass (one per input layer) over the pairs of rows, for all kernels.

    Parameters
    ----------
    X : ndarray or FileRows of shape (n_samples, n_features)
        As `as_rows` or `as_source` gives it.
    classes, labels
        As `as_labels` gives them.
    device : str
        Who runs the tiles; rows are surveyed, scaled and packed by this machine.
    part : (index, count)
        Which share of the pairs: those of some rectangles of rows.
    memory_limit : float, optional
        Bytes beside X that the pass may take: then rows are packed block by block.
    identify : bool
        Whether the sums shall know their problem, so that parts can be joined: costs a hash of X.
    surveyed : Survey, optional
        Of the same problem: then only the rows of the part are read, and nothing is sorted or hashed.
    """
    order = _sorted(classes) if surveyed is None else surveyed.order
    unit = {True: 2.0**-24, False: 2.0**-53}
    out: dict[int, ClassSums] = {}
    if surveyed is not None:
        problems = surveyed.problems
    else:
        problems = tuple(problem_hashes(X, classes, kernels, dtype, device)) if identify else ()
    groups = chains_of(kernels, X.shape[1])
    reports = staged(progress, len(groups))
    for index, chains in enumerate(groups):
        one = _Pass(
            *(X, classes, kernels, chains, dtype),
            row_sums=row_sums,
            n_threads=n_threads,
            device=device,
        )
        known = None if surveyed is None else surveyed.passes[index]
        found, results = one.sums(order, one.rectangles(part, memory_limit), known, reports[index])
        mapping = one.mapping() if surveyed is None else surveyed.mappings[index]
        taken = [
            (chain, position, level)
            for chain in chains
            for position, (level, *_) in zip(chain.kernels, chain.outputs, strict=True)
        ]
        for (chain, position, level), per_class, raw in zip(
            taken, found["kernels"], results, strict=True
        ):
            settings = {
                "n_features": one.n_features,
                "depth": one.n_features + (chain.input_layer[1] > 0),
                "n_duals": level,
                "unit_within": unit[one.single[0]],
                "unit_between": unit[one.single[1]],
                "stable": chain.stable,
                "cancels": chain.cancels,
                "mapping": mapping,
            }
            scales = {
                "row": raw.get("row_scale"),
                "column": raw.get("column_scale"),
                "row_within": per_class["row_scale_within"],
                "k": per_class["k"],
            }
            exact = PassSums(
                problems[position] if problems else "",
                part[1],
                frozenset({part[0]}),
                *(raw["block"], raw["exponent"]),
                *(raw["sensitivity"], raw["sensitivity_exponent"]),
                {name: per_class[name] for name in PER_CLASS},
                settings,
                raw.get("rows"),
                scales if row_sums else None,
            )
            kernel, whole = kernels[position], part[1] == 1
            out[position] = from_pass(exact, one.sizes, labels, kernel, order, in_place=whole)
    return [out[k] for k in range(len(kernels))]
