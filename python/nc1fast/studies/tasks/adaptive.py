"""Adaptive kernels and mean field of an arm: on the labels, on permuted ones, and by the released
code's equations.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import model_validator

import nc1fast as nc
from nc1fast.studies.fields import Count, Positive, joined, listed
from nc1fast.studies.tasks.kernels import ANNEALING, RELEASED_ADAPTIVE, released_adaptive
from nc1fast.studies.tasks.rows import ModelColumns, attempt, measured, series, sigma
from nc1fast.studies.tasks.task import DrawnData, ModelTask, Outcome, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from nc1fast.studies.tasks.task import Illustration
    from nc1fast.studies.tidy import Row


class Learned(Section):
    """Kernels that have learned the labels, one for each activation: prior, noise and targets."""

    model: ClassVar[str]  # as the column `model` names it

    activation: Literal["erf", "relu"] | tuple[Literal["erf", "relu"], ...] = "erf"
    noise: Positive
    width: Count = 500
    weight_variance: Positive = 1.0
    readout_variance: Positive = 1 / 128
    targets: Literal["scalar", "one-hot"] = "scalar"

    def settings(self, data: DrawnData) -> dict[str, Any]:
        """Arguments that all solvers have."""
        names = {"noise", "width", "weight_variance", "readout_variance"}
        return self.model_dump(include=names) | {"n_threads": data.n_threads}

    def named(self, activation: str) -> ModelColumns:
        """The columns that name the kernel of an activation."""
        return ModelColumns(
            self.model,
            activation,
            2,
            weight_variance=joined((self.weight_variance, self.readout_variance)),
            bias_variance="0",
            width=self.width,
            noise=self.noise,
        )


class Adaptive(Learned):
    """Adaptive kernels of one kind, one for each activation: arguments of `nc1fast.adaptive.solve`.

    `labels` "shuffled" solves for permuted labels and measures under the true ones; `equations`
    "released" solves those of the released code, which have one start.
    """

    labels: Literal["true", "shuffled"] = "true"
    equations: Literal["correct", "released"] = "correct"
    multistart: Count = 4

    @model_validator(mode="after")
    def _consistent(self) -> Adaptive:
        if self.released and (self.activation != "erf" or self.targets != "scalar"):
            raise ValueError("the released equations are those of erf and one output")
        return self

    @property
    def model(self) -> str:  # type: ignore[override]
        """The name of the kernel, or that of the released code's."""
        return RELEASED_ADAPTIVE if self.released else "AdaptiveKernel"

    @property
    def released(self) -> bool:
        """Whether the equations are those of the released code."""
        return self.equations == "released"

    @property
    def shuffled(self) -> bool:
        """Whether the labels are permuted."""
        return self.labels == "shuffled"

    def tasks(self) -> Iterator[AdaptiveTask]:
        """One adaptive kernel for each activation."""
        return (AdaptiveTask(self, activation) for activation in listed(self.activation))

    def illustrating(self, shown: Sequence[Illustration]) -> Iterator[AnnealingTask]:
        """The annealing of each kernel of the true labels that an illustration asks for."""
        for activation in () if self.shuffled else listed(self.activation):
            if any(one.shows("annealing", activation, 0) for one in shown):
                yield AnnealingTask(self, activation)


@dataclass(frozen=True)
class AdaptiveTask(ModelTask):
    """One adaptive kernel, which is solved for the true labels or for shuffled ones."""

    entry: Adaptive

    libraries = ("scipy.linalg", "scipy.optimize")

    @property
    def state(self) -> str:
        """The column `state`: "shuffled" or empty."""
        return "shuffled" if self.entry.shuffled else ""

    @property
    def name(self) -> str:
        """The columns of the kernel, then its state."""
        return f"{self.named.label()} {self.state}".rstrip()

    @property
    def chance(self) -> bool:  # type: ignore[override]
        """True for shuffled labels, since every repeat draws a permutation."""
        return self.entry.shuffled

    def seconds(self, n_samples: int, n_features: int) -> float:
        """Estimate: thirty evaluations of the free energy for each start, six times as many on
        permuted labels.
        """
        if self.entry.released:
            return 0.05 + 20 * evaluation_seconds(n_samples, n_features)
        evaluations = self.entry.multistart * (180 if self.entry.shuffled else 30)
        return 0.05 + evaluations * evaluation_seconds(n_samples, n_features)

    def compute(self, data: DrawnData) -> Outcome:
        """Solve for the kernel, then measure it under the true labels."""
        Y = self.targets(data)
        settings = {} if self.entry.released else {"multistart": self.entry.multistart}
        solution, seconds = attempt(solve, self.entry, data, Y, self.activation, **settings)
        if isinstance(solution, str):
            return Outcome(
                measured(self.named, solution, data.conventions, seconds, state=self.state)
            )
        (answer, *others), took = _measured_branches(data, solution)
        rows = measured(
            self.named,
            answer,
            data.conventions,
            seconds + took,
            state=self.state,
            note="" if solution.converged else f"not converged: {solution.reason}",
        )
        searched = self._search(solution, [answer, *others], data.conventions[0])
        rows = [row | searched for row in rows]
        shown: list[Row] = []
        if not (self.entry.shuffled or self.entry.released):
            shown = data.gram_series(self.named, solution.kernel)
            if data.shows("sigma", self.activation):
                shown += sigma(self.named, solution.sigma)
        return Outcome(rows, shown)

    def targets(self, data: DrawnData) -> NDArray[np.float64]:
        """The targets (n_samples, n_outputs) on one data set, permuted where the labels are
        shuffled.
        """
        Y = data.targets(self.entry.targets)
        if not self.entry.shuffled:
            return Y
        words = np.random.SeedSequence((data.seed, zlib.crc32(b"shuffled")))
        return Y[np.random.default_rng(words).permutation(len(Y))]

    def _search(self, solution: Any, answers: Sequence[Any], convention: str) -> Row:
        """Columns of the search for the lowest F; `answers` has the collapse of each branch."""
        first = [measured(self.named, answer, [convention], 0.0)[0]["nc1"] for answer in answers]
        return {
            # what the released equations minimise is no free energy
            "free_energy": math.nan if self.entry.released else solution.free_energy,
            "starts": solution.n_starts,
            "branches": len(first),
            "branch_nc1": " ".join(f"{nc1:.6g}" for nc1 in first) if len(first) > 1 else "",
        }


@dataclass(frozen=True)
class AnnealingTask(ModelTask):
    """The solution at each of the released code's widths, from wide to narrow: series and no rows
    of the table.
    """

    entry: Adaptive

    libraries = AdaptiveTask.libraries

    @property
    def name(self) -> str:
        """The name of the kernel's own task, behind "annealing of"."""
        return f"annealing of {AdaptiveTask(self.entry, self.activation).name}"

    def n_rows(self, conventions: Sequence[str]) -> int:
        """Zero: it gives series alone."""
        return 0

    def seconds(self, n_samples: int, n_features: int) -> float:
        """Estimate: fifteen evaluations of the free energy at each width."""
        return 0.05 + 15 * len(ANNEALING) * evaluation_seconds(n_samples, n_features)

    def compute(self, data: DrawnData) -> Outcome:
        """Solve at every width, then measure four quantities at each."""
        Y = data.targets(self.entry.targets)
        whole, _ = attempt(solve, self.entry, data, Y, self.activation, widths=ANNEALING)
        if isinstance(whole, str):
            return Outcome()
        points: dict[str, list[tuple[float, float, float]]] = {}
        for stage in whole.stages:
            kernel, _ = data.collapse(stage.kernel)
            predicted, _ = attempt(nc.collapse, stage.predictions, data.y)
            values = {
                "nc1": _nc1(kernel),
                "nc1 of predictions": _nc1(predicted),
                "trace sigma": float(np.trace(stage.sigma)),
                "training error": float(np.mean((stage.predictions - Y) ** 2)),
            }
            for quantity, value in values.items():
                points.setdefault(quantity, []).append((stage.width, 0.0, value))
        named = ModelColumns("AdaptiveKernel", self.activation)
        state = "released" if self.entry.released else ""
        rows = [series(named, quantity, found, state=state) for quantity, found in points.items()]
        return Outcome([], [row for of_one in rows for row in of_one])


def solve(
    entry: Adaptive, data: DrawnData, Y: NDArray[np.float64], activation: str, **options: Any
) -> Any:
    """Solve the equations of an entry for the targets Y of shape (n_samples, n_outputs)."""
    settings = entry.settings(data) | options
    if entry.released:
        return released_adaptive(data.X, Y, **settings)
    return nc.adaptive.solve(data.X, Y, activation=activation, **settings)


def evaluation_seconds(n_samples: int, n_features: int) -> float:
    """Estimated time of one evaluation of the free energy and its gradient, on one thread."""
    n, d = float(n_samples), float(n_features)
    # Cholesky factor and inverse, products with the rows, steps of the minimiser
    return 4e-11 * n**3 + 2e-10 * n * n * (d + 100) + 1e-9 * d**3 + 5e-4


def _measured_branches(data: DrawnData, solution: Any) -> tuple[list[Any], float]:
    """The collapse of each branch, or the reason why there is none, the lowest F first; and the
    seconds they took.
    """
    pairs = [data.collapse(branch.kernel) for branch in solution.branches]
    return [answer for answer, _ in pairs], sum(seconds for _, seconds in pairs)


def _nc1(answer: Any) -> float:
    return float("nan") if isinstance(answer, str) else float(answer.nc1)


class MeanField(Learned):
    """Mean-field kernels of one kind, one for each activation: arguments of
    `nc1fast.adaptive.mean_field`.
    """

    model: ClassVar[str] = "mean field"

    n_samples: Count | None = None

    def tasks(self) -> Iterator[MeanFieldTask]:
        """One mean-field kernel for each activation."""
        return (MeanFieldTask(self, activation) for activation in listed(self.activation))


@dataclass(frozen=True)
class MeanFieldTask(ModelTask):
    """One mean-field kernel, whose NC1 have a standard error."""

    entry: MeanField

    libraries = ("scipy.special", "scipy.stats")

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
        return nc.adaptive.mean_field(
            data.X,
            data.targets(self.entry.targets),
            activation=self.activation,
            n_samples=self.entry.n_samples,
            seed=data.seed,
            **self.entry.settings(data),
        )
