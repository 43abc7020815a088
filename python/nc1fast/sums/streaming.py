"""The pass over all pairs of rows, for one kernel or many: survey, rectangles of rows, exact sums.

rows, kernels  ->  chains, grouped by input layer  ->  survey: what all parts need to know about all
rows
               ->  rectangles of rows that fit into memory  ->  integer sums, by whoever runs the
               tiles  ->  ClassSums
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast import _core
from nc1fast.core.backend import bits_of, check_rows, in_range, runner
from nc1fast.core.chains import HIDDEN
from nc1fast.core.expressions import Expression, Group, groups_of
from nc1fast.core.machine import threads_for, tile_panels
from nc1fast.core.rounding import mapping_errors
from nc1fast.inputs.arrays import as_rows, row_chunks
from nc1fast.inputs.devices import BorrowedRows
from nc1fast.inputs.file_rows import FileRows
from nc1fast.sums.class_sums import ClassSums, from_pass
from nc1fast.sums.pass_sums import PassSums
from nc1fast.sums.rectangles import divided, part_of
from nc1fast.sums.rounding import PER_CLASS, TileRounding
from nc1fast.sums.settings import check_memory, working_set
from nc1fast.support.files import BINARY
from nc1fast.support.progress import staged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.kernels.classes import Kernel
    from nc1fast.sums.rectangles import Rectangle
    from nc1fast.sums.settings import Settings

    Rows = NDArray[Any] | FileRows | BorrowedRows
    Progress = Callable[[int, int], object]

_UNIT = {True: 2.0**-24, False: 2.0**-53}  # unit roundoff in single precision or not
# Bytes of the host for a row that a device measures, and for its place in its class.
_MEASURED = 24 + 8


def _mapping_error(X: Rows, factor: NDArray[np.float64]) -> float:
    """The largest of the `mapping_errors` of the rows."""
    return max(float(mapping_errors(chunk, factor).max(initial=0.0)) for chunk in row_chunks(X))


def problem_hashes(
    data: LabelledData, kernels: Sequence[Kernel], settings: Settings
) -> tuple[str, ...]:
    """Hashes of all that fixes the bits of the sums of each kernel: X, y, the kernel, dtype, and
    the kind of device.

    Cost: one reading of X.
    """
    X, found = data.rows, hashlib.blake2b(digest_size=16)
    for chunk in row_chunks(X):
        found.update(np.ascontiguousarray(chunk).tobytes())
    found.update(data.classes.of_row.tobytes())
    about = (
        tuple(X.shape),
        str(X.dtype),
        found.hexdigest(),
        settings.dtype,
        bits_of(settings.device),
    )
    return tuple(
        hashlib.blake2b(repr((*about, repr(kernel))).encode(), digest_size=16).hexdigest()
        for kernel in kernels
    )


@dataclass(frozen=True)
class Survey:
    """Facts about all rows that every part of a pass needs: small enough to be sent to each worker.

    Attributes
    ----------
    order : ndarray of int64 of shape (n_samples,)
        The caller's row at each sorted position; may be a memory map.
    passes : tuple of dict
        Surveys of the core, one per input layer: O(C d + C^2) numbers for each kernel, and with row
        sums 16 N bytes.
    mappings : tuple of float
        Relative error of the rows of each pass, in units of 2^-53.
    problems : tuple of str
        The hash that identifies the problem of each kernel.
    """

    order: NDArray[np.int64]
    passes: tuple[dict[str, Any], ...]
    mappings: tuple[float, ...]
    problems: tuple[str, ...]

    def known(self, index: int) -> tuple[dict[str, Any], float]:
        """Survey and mapping error of the pass of an input layer."""
        return self.passes[index], self.mappings[index]


def _stored(X: Rows) -> AbstractContextManager[Any]:
    """Rows as the core takes them: an array, one that is borrowed from a device, or a file that
    stays open for as long as the context.
    """
    if isinstance(X, FileRows):
        return _opened(X)
    return nullcontext(X.borrowed if isinstance(X, BorrowedRows) else X)


@contextmanager
def _opened(X: FileRows) -> Iterator[Any]:
    """The same of a file."""
    file = os.open(X.path, os.O_RDONLY | BINARY)
    try:
        yield (file, X.stored, X.offset, X.stride, *X.shape)
    except OSError as error:
        if error.filename is not None or X.path in str(error):
            raise
        raise OSError(f"{X.path}: {error}") from error  # the core knows no names
    finally:
        with suppress(OSError):  # nothing was written
            os.close(file)


class _Pass:
    """The kernels of one input layer on one data set, as the core takes them."""

    def __init__(
        self,
        data: LabelledData,
        kernels: Sequence[Kernel],
        group: Group,
        settings: Settings,
    ) -> None:
        self.runner = runner(settings.device)
        self.rows, self.classes, self.group = data.rows, data.classes, group
        self.words = group.words
        self.kernels = [kernels[k] for k in group.kernels if k != HIDDEN]
        self.single, self.row_sums = settings.single, settings.row_sums
        self.memory_limit = settings.memory_limit
        n_pairs = data.n_samples**2 // 2 * len(self.kernels)
        self.threads = threads_for(settings.n_threads, n_pairs, data.n_features)
        self.factor = group.chains[0].factor
        if self.factor is not None and isinstance(self.rows, BorrowedRows):
            self.rows = as_rows(self.rows.array)  # the processor multiplies them
        self.n_features = data.n_features if self.factor is None else self.factor.shape[1]

    def mapping(self) -> float:
        """Relative error of the rows, in units of 2^-53; 0 where there is no factor."""
        return 0.0 if self.factor is None else _mapping_error(self.rows, self.factor)

    def _call(self, function: Callable[..., Any], *order: Any, rest: tuple[Any, ...] = ()) -> Any:
        """Call a function of the core; the arguments around `order` and `rest` are those that all
        of them take.
        """
        sizes = self.classes.sizes.tolist()
        with _stored(self.rows) as rows, in_range(*self.kernels):
            return function(
                rows,
                self.factor,
                *order,
                self.classes.of_row,
                sizes,
                self.words,
                *self.single,
                self.row_sums,
                self.threads,
                *rest,
            )

    def survey(self) -> dict[str, Any]:
        """Scales, exponents and error sums of all rows, as the core gives and takes them."""
        check_rows(self.rows, self.group.chains)
        return self._call(_core.survey)  # type: ignore[no-any-return]

    def sums(
        self,
        part: tuple[int, int],
        order: NDArray[np.int64],
        known: tuple[dict[str, Any], float] | None,
        progress: Progress | None,
    ) -> Iterator[tuple[int, PassSums]]:
        """The integers of each kernel over a part of the pairs, after its position in the caller's
        list.

        Parameters
        ----------
        part : (index, count)
        order : ndarray of shape (n_samples,)
            The caller's row at each sorted position.
        known : (survey, mapping), optional
            Results of `survey` and `mapping`; otherwise the rows are surveyed first.
        progress : callable, optional
        """
        rectangles = self.rectangles(part)
        if known is None:
            check_rows(self.rows, self.group.chains)
        survey = None if known is None else known[0]
        rest = (survey, rectangles, tile_panels(), progress, *self.runner.devices)
        found, results = self._call(self.runner.module.class_sums, order, rest=rest)
        mapping = self.mapping() if known is None else known[1]
        for position, own, raw in zip(self.group.kernels, found["kernels"], results, strict=True):
            if position == HIDDEN:
                continue
            scales = {
                "row": raw.get("row_scale"),
                "column": raw.get("column_scale"),
                "row_within": own["row_scale_within"],
                "k": own["k"],
            }
            yield (
                position,
                PassSums(
                    problem="",
                    parts=part[1],
                    covered=frozenset({part[0]}),
                    block=raw["block"],
                    exponent=raw["exponent"],
                    sensitivity=raw["sensitivity"],
                    sensitivity_exponent=raw["sensitivity_exponent"],
                    per_class=dict(zip(PER_CLASS, own["per_class"], strict=False)),
                    tiles=self._rounding(self.group.expressions[position], mapping),
                    rows=raw.get("rows"),
                    row_scales=scales if self.row_sums else None,
                ),
            )

    def _rounding(self, expression: Expression, mapping: float) -> TileRounding:
        """How the values of a kernel are rounded."""
        within, between = (_UNIT[single] for single in self.single)
        leaves = expression.leaves
        return TileRounding(
            n_features=self.n_features,
            depth=self.n_features + (leaves[0].input_layer[1] > 0),
            n_duals=expression.layers,
            unit_within=within,
            unit_between=between,
            stable=expression.stable,
            cancels=expression.cancels,
            mapping=mapping,
            degree=expression.degree,
            lifted=expression.lifted,
        )

    def rectangles(self, part: tuple[int, int]) -> list[Rectangle]:
        """The pairs of rows of a part, in pieces that fit into the memory of this machine and of
        the devices.
        """
        limit, n_rows = self.memory_limit, len(self.rows)
        step = self.runner.module.row_step(*self.runner.devices)
        rectangles = part_of(n_rows, part, step)
        if limit is None and not self.runner.devices:
            return rectangles
        room = self._room_on_device(step)
        fits = all((b - a) + (d - c) * (a != c) <= room for a, b, c, d in rectangles)
        if limit is not None:
            about = (self.n_features, self.words, *self.single, self.row_sums)
            borrowed = isinstance(self.rows, BorrowedRows)
            row_bytes = self.runner.module.lent_row_bytes if borrowed else _core.row_bytes
            larger, both = row_bytes(*about)
            need = working_set(
                self.rows.shape,
                len(self.classes),
                len(self.kernels),
                self.threads,
                layers=sum(len(chain.weights) for chain in self.group.chains),
                row_sums=self.row_sums,
            )
            need["buffers"] += self._on_devices(n_rows)[1] + borrowed * _MEASURED * n_rows
            total = sum(need.values())
            if part[1] > 1 or total + both * (n_rows + step) > limit:
                fits = False
                room = min(room, int((limit - total) // larger) // step * step)
                if room < 2 * step:
                    check_memory(limit, {"packed rows": 2 * step * larger, **need})
        return rectangles if fits else divided(rectangles, room, step)

    def _on_devices(self, n_rows: int) -> tuple[int, int]:
        """Bytes that a pass over so many rows takes of each device, and in pinned memory of the
        host; 0, 0 without one.
        """
        if not self.runner.devices:
            return 0, 0
        about = (self.n_features, self.words, *self.single, self.row_sums)
        needed: tuple[int, int] = self.runner.module.pass_bytes(
            *about, len(self.classes), n_rows, self._n_borrowed, *self.runner.devices
        )
        return needed

    @property
    def _n_borrowed(self) -> int:
        """Rows that lie on the device: all or none."""
        return len(self.rows) if isinstance(self.rows, BorrowedRows) else 0

    def _room_on_device(self, step: int) -> int:
        """Rows that every device has memory for, with all that belongs to them: a multiple of
        `step`, or more than there are.
        """

        def fits(n_rows: int) -> bool:
            return self._on_devices(n_rows)[0] <= self.runner.memory

        n_rows = len(self.rows)
        if fits(n_rows):
            return 2 * (n_rows + step)
        low, high = 1, n_rows // step + 1  # in steps; high does not fit
        if not fits(2 * step):
            raise MemoryError(
                f"{int(self.runner.memory)} bytes of a device are free for rows, but "
                f"{self._on_devices(2 * step)[0]} are needed at least"
                + " (statistics='sums' needs less)"
                * self.row_sums
            )
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle * step) else (low, middle)
        return low * step


def survey(data: LabelledData, kernels: Sequence[Kernel], settings: Settings) -> Survey:
    """Survey all rows, on behalf of parts of a pass that read only some of them.

    Notes
    -----
    Cost: two readings of X in its own order, and a third for the hash.
    """
    passes, mappings = [], []
    for group in groups_of(kernels, data.n_features):
        one = _Pass(data, kernels, group, settings)
        passes.append(one.survey())
        mappings.append(one.mapping())
    problems = problem_hashes(data, kernels, settings)
    return Survey(data.classes.order, tuple(passes), tuple(mappings), problems)


def kernel_sums(
    data: LabelledData,
    kernels: Sequence[Kernel],
    settings: Settings,
    *,
    part: tuple[int, int] = (0, 1),
    surveyed: Survey | None = None,
    progress: Progress | None = None,
) -> list[ClassSums]:
    """Class sums of each kernel, in one pass over the pairs of rows for every input layer.

    Parameters
    ----------
    data : LabelledData
        Rows of a file need not have been searched for NaN and Inf: the survey does that.
    kernels : sequence of Kernel
    settings : Settings
        Rows are surveyed, scaled and packed by the processor, whatever the device, but
        `BorrowedRows` by theirs. With a memory limit they are packed block by block.
    part : (index, count)
        Share of the pairs to sum: those of some rectangles of rows.
    surveyed : Survey, optional
        Survey of the same problem: only the rows of the part are read, and the sums know their
        problem, so that parts can be added. Without it the rows are surveyed but not hashed.
    progress : callable(done, total), optional

    Raises
    ------
    ValueError
        For rows out of the range of a kernel, NaN or Inf, and a memory limit that is too low.
    """
    order = data.classes.order if surveyed is None else surveyed.order
    groups = groups_of(kernels, data.n_features)
    found: dict[int, PassSums] = {}
    for index, (group, report) in enumerate(
        zip(groups, staged(progress, len(groups)), strict=True)
    ):
        known = surveyed.known(index) if surveyed is not None else None
        found |= _Pass(data, kernels, group, settings).sums(part, order, known, report)
    out = []
    for k, kernel in enumerate(kernels):
        exact = found.pop(k)
        if surveyed is not None:
            exact = replace(exact, problem=surveyed.problems[k])
        sizes, labels = data.classes.sizes, data.classes.labels
        out.append(from_pass(exact, sizes, labels, kernel, order, in_place=part[1] == 1))
    return out
