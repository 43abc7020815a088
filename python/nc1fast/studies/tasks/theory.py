"""Expected NC1 of the Gaussian data of a study, at its finite sizes: one cell per data set, no repeats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nc1fast as nc
from nc1fast.studies.sources import GaussianMixture
from nc1fast.studies.tasks.measuring import Outcome, Problem, attempt, numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.tasks.kernels import KernelTask
    from nc1fast.studies.tidy import Row


@dataclass(frozen=True)
class TheoryTask:
    """Expectations of those kernels of an arm that `nc1fast.theory` covers."""

    kernels: KernelTask

    name = "theory"
    libraries = ("scipy.special",)
    chance = False

    def pairs(self) -> list[tuple[Row, Any]]:
        """The columns that name each kernel, and the kernel."""
        return [
            (named, kernel)
            for named, kernel in self.kernels.pairs()
            if named["model"] in ("NNGP", "NTK", "ConjugateKernel")
            and named["depth"] == 2
            and named["activation"] in ("relu", "erf")
            and named["parametrization"] != "standard"
            and not any(kernel.bias_variances)
        ]

    def n_rows(self, conventions: Sequence[str]) -> int:
        """As `Task`."""
        return len(self.pairs()) * len(conventions)

    def seconds(self, n_samples: int, n_features: int) -> float:
        """As `Task`."""
        return 0.005 * len(self.pairs())

    def compute(self, problem: Problem) -> Outcome:
        """As `Task`."""
        rows: list[Row] = []
        for named, kernel in self.pairs():
            for convention in problem.conventions:
                answer, seconds = attempt(_expected, problem, kernel, convention)
                columns = {"state": "theory", "convention": convention, "seconds": seconds}
                rows.append({**named, **columns, **numbers(answer)})
        return Outcome(rows)


def _expected(problem: Problem, kernel: Any, convention: str) -> Any:
    source = problem.instance.source
    assert isinstance(source, GaussianMixture)
    assert problem.instance.n_features is not None
    return nc.theory.expected_collapse(
        kernel,
        source.means,
        source.stds,
        n_features=problem.instance.n_features,
        sizes=problem.instance.sizes,
        convention=convention,
    )
