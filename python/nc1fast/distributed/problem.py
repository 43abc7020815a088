"""A distributed problem: checked data, kernels and settings; surveyed, any bundle of it can be
computed alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.distributed.shares import Share
from nc1fast.inputs.file_rows import FileRows
from nc1fast.inputs.labelled import Classes, LabelledData
from nc1fast.kernels.classes import Kernel
from nc1fast.sums.class_sums import from_pass
from nc1fast.sums.streaming import kernel_sums, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nc1fast.sums.class_sums import ClassSums
    from nc1fast.sums.pass_sums import PassSums
    from nc1fast.sums.settings import Settings
    from nc1fast.sums.streaming import Survey


@dataclass(frozen=True, eq=False)
class Problem:
    """The data, kernels and settings of a pass that is to be divided, all checked.

    Attributes
    ----------
    data : LabelledData
    kernels : tuple of Kernel
    settings : Settings
        The device is that of each worker, by its name there. The number of threads is that of the
        call; a plan decides how many a bundle has.
    state : tuple or None
        Size, time and inode of the file of the rows before anything was read from it; None for
        arrays.
    """

    data: LabelledData
    kernels: tuple[Kernel, ...]
    settings: Settings
    state: tuple[int, ...] | None = None

    @classmethod
    def of(cls, data: LabelledData, kernels: Sequence[Any], settings: Settings) -> Problem:
        """The problem of some data, of whose file nothing has been read yet.

        Raises
        ------
        ValueError
            For kernels that are not kernel objects.
        OSError
            If the file of the rows is gone.
        """
        if not kernels or not all(isinstance(kernel, Kernel) for kernel in kernels):
            raise ValueError(
                "executor, journal and plans need a kernel object or a list of them: explicit "
                "features, Gram matrices and callables are summed in one process"
            )
        state = data.rows.state() if isinstance(data.rows, FileRows) else None
        return cls(data, tuple(kernels), settings, state)

    def sample(self, n_rows: int) -> Problem:
        """The problem of about `n_rows` of the rows, each class in proportion.

        The first and the last class are always represented; others may be missing if their share is
        less than a row.
        """
        order = self.data.classes.order
        taken = order[np.unique(np.linspace(0, len(order) - 1, n_rows).astype(np.int64))]
        present, of_row = np.unique(self.data.classes.of_row[taken], return_inverse=True)
        classes = Classes(of_row.astype(np.int32), self.data.classes.labels[present])
        rows = np.ascontiguousarray(self.data.rows[taken])
        return replace(self, data=LabelledData(rows, classes), state=None)


@dataclass(frozen=True, eq=False)
class Surveyed:
    """A problem after its survey: any bundle of it can be computed alone.

    Attributes
    ----------
    problem : Problem
    survey : Survey
        What bundles need to know about rows that they do not read.
    n_threads : int
        Threads of a bundle.
    """

    problem: Problem
    survey: Survey
    n_threads: int

    @classmethod
    def of(cls, problem: Problem, n_threads: int, *, survey_threads: int | None) -> Surveyed:
        """Survey a problem on `survey_threads` threads: three readings of X in its own order, one
        of them for the hash.
        """
        settings = replace(problem.settings, n_threads=survey_threads)
        return cls(problem, survey(problem.data, problem.kernels, settings), n_threads)

    def sums(
        self, part: tuple[int, int], progress: Callable[[int, int], object] | None = None
    ) -> list[PassSums]:
        """Compute bundle `part`, (index, count), in this process; the integers of each kernel.

        Raises
        ------
        ValueError
            If the file of the rows has changed since it was first looked at.
        """
        problem = self.problem
        settings = replace(problem.settings, n_threads=self.n_threads)
        found: Any = kernel_sums(
            problem.data,
            problem.kernels,
            settings,
            part=part,
            surveyed=self.survey,
            progress=progress,
        )
        rows = problem.data.rows
        if isinstance(rows, FileRows) and rows.state() != problem.state:
            raise ValueError(f"X has changed since the pass began: {rows.path} must stay as it is")
        return [sums.exact for sums in found]

    def shares(self, part: tuple[int, int]) -> list[Share]:
        """Compute a bundle; the integers of each kernel as they are sent and recorded."""
        return [Share.of(sums) for sums in self.sums(part)]

    def nothing(self) -> list[PassSums]:
        """The sums of no pair at all, of each kernel: the hash of the problem, its exponents and
        scales, and zeros.
        """
        n = self.problem.data.n_samples
        return self.sums((n, n + 1))  # of n + 1 parts the last has no pairs

    def finish(self, totals: Sequence[PassSums]) -> list[ClassSums]:
        """Turn the integers of all bundles, one total per kernel, into class sums."""
        problem, order = self.problem, self.survey.order
        classes = problem.data.classes
        return [
            from_pass(total, classes.sizes, classes.labels, kernel, order, in_place=True)
            for total, kernel in zip(totals, problem.kernels, strict=True)
        ]
