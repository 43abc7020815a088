"""Bundles of a surveyed problem: what each of them computes, and what becomes of their sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nc1fast.distributed.shares import Share
from nc1fast.inputs.file_rows import FileRows
from nc1fast.sums.class_sums import from_pass
from nc1fast.sums.streaming import kernel_sums

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nc1fast.distributed.problem import Problem
    from nc1fast.sums.class_sums import ClassSums
    from nc1fast.sums.pass_sums import PassSums
    from nc1fast.sums.streaming import Survey


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
        return cls(problem, problem.survey(survey_threads), n_threads)

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
