"""Expected NC1 of Gaussian data at their finite sizes: one cell per data set, no repeats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nc1fast as nc
from nc1fast.studies.sources import GaussianMixture
from nc1fast.studies.tasks.table_rows import attempt, numbers
from nc1fast.studies.tasks.task import DrawnData, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.tasks.kernels import KernelTask
    from nc1fast.studies.tasks.table_rows import ModelColumns
    from nc1fast.studies.tidy import Row


@dataclass(frozen=True)
class TheoryTask:
    """Expectations of those kernels of an arm that `nc1fast.theory` covers."""

    kernels: KernelTask

    name = "theory"
    libraries = ("scipy.special",)
    chance = False

    def pairs(self) -> list[tuple[ModelColumns, Any]]:
        """The columns that name each kernel covered, and the kernel."""
        return [
            (named, kernel)
            for named, kernel in self.kernels.pairs()
            if named.model in ("NNGP", "NTK", "ConjugateKernel")
            and named.depth == 2
            and named.activation in ("relu", "erf")
            and named.parametrization != "standard"
            and not any(kernel.bias_variances)
        ]

    def n_rows(self, conventions: Sequence[str]) -> int:
        """One row per kernel covered and convention."""
        return len(self.pairs()) * len(conventions)

    def seconds(self, n_samples: int, n_features: int) -> float:
        """Estimate: five milliseconds of quadrature per kernel."""
        return 0.005 * len(self.pairs())

    def compute(self, data: DrawnData) -> Outcome:
        """Integrate the expectations; of the data set only its description is used."""
        rows: list[Row] = []
        for named, kernel in self.pairs():
            for convention in data.conventions:
                answer, seconds = attempt(_expected, data, kernel, convention)
                columns = {"state": "theory", "convention": convention, "seconds": seconds}
                rows.append({**named.row(), **columns, **numbers(answer)})
        return Outcome(rows)


def _expected(data: DrawnData, kernel: Any, convention: str) -> Any:
    source = data.instance.source
    assert isinstance(source, GaussianMixture)
    assert data.instance.n_features is not None
    return nc.theory.expected_collapse(
        kernel,
        source.means,
        source.stds,
        n_features=data.instance.n_features,
        sizes=data.instance.sizes,
        convention=convention,
    )
