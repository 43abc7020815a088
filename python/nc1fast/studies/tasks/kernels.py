"""Limiting kernels of a study, and the data themselves: one pass over a data set for all of them."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

import nc1fast as nc
from nc1fast import kernels as _kernels
from nc1fast.activations import Activation, LeakyReLU
from nc1fast.compat import released
from nc1fast.studies.fields import Count, Entry, Number, Variance, joined, listed
from nc1fast.studies.tasks.illustrations import gram_series
from nc1fast.studies.tasks.measuring import MEASURED, Outcome, Problem, attempt, measured, model

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.tidy import Row

RELEASED_ERF_NTK = "compat.released.erf_ntk"
_PER_SECOND = 2.5e9  # operations of a pass on one thread: see `plan.describe_plan`


@dataclass(frozen=True)
class ReleasedErfNTK:
    """Stands for `nc1fast.compat.released.erf_ntk`, which is a Gram matrix and not a kernel."""

    weight_variance: float
    bias_variance: float


class Kernels(Entry):
    """Kernels of one class: one for each activation and depth listed."""

    kernel: Literal["ConjugateKernel", "NNGP", "NTK", "Linear", "compat.released.erf_ntk"]
    activation: str | tuple[str, ...] | None = None
    slope: Number | None = None
    depth: Count | tuple[Count, ...] = 2
    weight_variance: Variance | tuple[Variance, ...] = 1.0
    bias_variance: Variance | tuple[Variance, ...] = 0.0
    parametrization: Literal["ntk", "standard"] | None = None
    width: Count | tuple[Count, ...] | None = None
    train_bias: bool | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Kernels:
        list(self.expand())  # the kernel classes check their own arguments
        return self

    def expand(self) -> Iterator[tuple[Row, Any]]:
        """Pairs of the columns that name a kernel, and the kernel."""
        if self.kernel in ("Linear", RELEASED_ERF_NTK):
            self._allow("weight_variance", "bias_variance")
            weight, bias = self.weight_variance, self.bias_variance
            if isinstance(weight, tuple) or isinstance(bias, tuple):
                raise ValueError(f"{self.kernel} takes one variance, not one per layer")
            if self.kernel == "Linear":
                yield self._row("", 1), _kernels.Linear(weight, bias)
            else:
                yield self._row("erf", 2), ReleasedErfNTK(weight, bias)
            return
        if self.activation is None:
            raise ValueError(f"{self.kernel} needs an activation")
        for name, depth in itertools.product(listed(self.activation), listed(self.depth)):
            activation: Activation = name
            if name == "leaky_relu":
                activation = LeakyReLU() if self.slope is None else LeakyReLU(self.slope)
            elif self.slope is not None:
                raise ValueError("slope belongs to the activation leaky_relu")
            options: dict[str, Any] = {
                "weight_variance": self.weight_variance,
                "bias_variance": self.bias_variance,
            }
            for option in ("parametrization", "width", "train_bias"):
                if (value := getattr(self, option)) is not None:
                    options[option] = value
            if self.kernel != "NTK":
                self._allow("activation", "slope", "depth", "weight_variance", "bias_variance")
            kernel = getattr(_kernels, self.kernel)(activation, depth, **options)
            yield self._row(str(activation), depth), kernel

    def _allow(self, *names: str) -> None:
        if extra := self.model_fields_set - {"kernel", *names}:
            raise ValueError(f"{self.kernel} has no {', '.join(sorted(extra))}")

    def _row(self, activation: str, depth: int) -> Row:
        return model(
            self.kernel,
            activation,
            depth,
            weight_variance=joined(self.weight_variance),
            bias_variance=joined(self.bias_variance),
            parametrization=(self.parametrization or "ntk") if self.kernel == "NTK" else "",
            width=listed(self.width)[-1] if self.width is not None else 0,
        )


@dataclass(frozen=True)
class KernelTask:
    """The data themselves, then all kernels of an arm."""

    entries: tuple[Kernels, ...]

    name = "kernels"
    libraries = ()
    chance = False

    def pairs(self) -> list[tuple[Row, Any]]:
        """The columns that name each kernel, and the kernel."""
        return [pair for entry in self.entries for pair in entry.expand()]

    def n_rows(self, conventions: Sequence[str]) -> int:
        """As `Task`."""
        return len(_of_data(conventions)) + len(self.pairs()) * len(conventions)

    def seconds(self, n_samples: int, n_features: int) -> float:
        """As `Task`: pairs of rows times the operations of a pair."""
        operations = float(n_features)
        for row, kernel in self.pairs():
            dense = isinstance(kernel, ReleasedErfNTK)  # in NumPy: several passes over memory
            operations += 500.0 if dense else 25.0 * row["depth"]
        return n_samples**2 / 2 * operations / _PER_SECOND

    def compute(self, problem: Problem) -> Outcome:
        """As `Task`."""
        answer, seconds = problem.collapse(dtype="float64")
        rows = measured(model("data"), answer, _of_data(problem.conventions), seconds)
        shown: list[Row] = []
        for named, kernel, answer, seconds in self._passes(problem):
            rows += measured(named, answer, problem.conventions, seconds)
            if named["model"] in ("NNGP", "NTK") and named["depth"] == 2:
                shown += gram_series(problem, named, kernel)
        return Outcome(rows, shown)

    def _passes(self, problem: Problem) -> Iterator[tuple[Row, Any, Any, float]]:
        """Each kernel with its result, or the reason why there is none, and the seconds of its pass."""
        pairs = self.pairs()
        streamed = [k for _, k in pairs if not isinstance(k, ReleasedErfNTK)]
        together, seconds = problem.collapse(streamed) if streamed else ([], 0.0)
        answers = iter(() if isinstance(together, str) else together)
        for named, kernel in pairs:
            if isinstance(kernel, ReleasedErfNTK):
                yield named, kernel, *_released(problem, kernel)
            elif isinstance(together, str):  # one is at fault: the others still have an answer
                yield named, kernel, *problem.collapse(kernel)
            else:
                yield named, kernel, next(answers), seconds


def _of_data(conventions: Sequence[str]) -> list[str]:
    """Conventions of the data's own rows: the relative NC1 under "released" divides by that under "probe"."""
    return list(dict.fromkeys([*conventions, *(["probe"] if "released" in conventions else [])]))


def _released(problem: Problem, kernel: ReleasedErfNTK) -> tuple[Any, float]:
    K, formed = attempt(released.erf_ntk, problem.X, **dataclasses.asdict(kernel))
    if isinstance(K, str):
        return K, formed
    answer, seconds = attempt(nc.collapse, K, problem.y, "precomputed", **MEASURED)
    return answer, formed + seconds
