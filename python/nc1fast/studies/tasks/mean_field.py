"""Mean field of an arm: the kernel of hidden weights of any law that has learned the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import nc1fast as nc
from nc1fast.studies.fields import Count, Positive, joined, listed
from nc1fast.studies.tasks.table_rows import ModelColumns, attempt, measured
from nc1fast.studies.tasks.task import DrawnData, Outcome, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MEAN_FIELD = "mean field"  # as the column `model` names it


class MeanField(Section):
    """Mean-field kernels of one kind, one for each activation: arguments of
    `nc1fast.adaptive.mean_field`.
    """

    activation: Literal["erf", "relu"] | tuple[Literal["erf", "relu"], ...] = "erf"
    noise: Positive
    width: Count = 500
    weight_variance: Positive = 1.0
    readout_variance: Positive = 1 / 128
    targets: Literal["scalar", "one-hot"] = "scalar"
    n_samples: Count | None = None

    def tasks(self) -> Iterator[MeanFieldTask]:
        """One mean-field kernel for each activation."""
        return (MeanFieldTask(self, activation) for activation in listed(self.activation))


@dataclass(frozen=True)
class MeanFieldTask:
    """One mean-field kernel: one NC1 per convention, with a standard error."""

    entry: MeanField
    activation: str

    libraries = ("scipy.special", "scipy.stats")
    chance = False

    @property
    def named(self) -> ModelColumns:
        """The columns that name the kernel."""
        e = self.entry
        return ModelColumns(
            MEAN_FIELD,
            self.activation,
            2,
            weight_variance=joined((e.weight_variance, e.readout_variance)),
            bias_variance="0",
            width=e.width,
            noise=e.noise,
        )

    @property
    def name(self) -> str:
        """The columns of the kernel."""
        return self.named.label()

    def n_rows(self, conventions: Sequence[str]) -> int:
        """One row for each convention."""
        return len(conventions)

    def seconds(self, n_samples: int, n_features: int) -> float:
        """Estimate: some fifteen sums over the draws, the draws and their activations."""
        draws = self.entry.n_samples or max(32768, 64 * n_samples)
        return 0.1 + 1e-10 * draws * (16 * n_samples**2 + 400 * n_samples + 1000 * n_features)

    def compute(self, data: DrawnData) -> Outcome:
        """Solve for the kernel, then measure it."""
        solution, seconds = attempt(self._solve, data)
        if isinstance(solution, str):
            return Outcome(measured(self.named, solution, data.conventions, seconds))
        answer, took = attempt(solution.collapse, data.y, convention="papyan")
        note = "" if solution.converged else f"not converged: {solution.reason}"
        rows = measured(self.named, answer, data.conventions, seconds + took, note=note)
        for row in rows:
            row["free_energy"] = solution.free_energy
            if not isinstance(answer, str):
                row["standard_error"] = answer.under(row["convention"]).standard_error
        return Outcome(rows)

    def _solve(self, data: DrawnData) -> Any:
        """The mean-field solution of a data set; its draws have the seed of the data."""
        e = self.entry
        return nc.adaptive.mean_field(
            data.X,
            data.targets(e.targets),
            noise=e.noise,
            activation=self.activation,
            weight_variance=e.weight_variance,
            readout_variance=e.readout_variance,
            width=e.width,
            n_samples=e.n_samples,
            seed=data.seed,
            n_threads=data.n_threads,
        )
