"""Limiting kernels of an arm, and the data themselves: one pass over a data set for all of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from nc1fast import kernels as _kernels
from nc1fast.activations import Activation, LeakyReLU
from nc1fast.studies.fields import Count, Entry, Number, Variance, joined, listed
from nc1fast.studies.tasks.released import RELEASED_ERF_NTK, ReleasedErfNTK
from nc1fast.studies.tasks.series_rows import gram_series
from nc1fast.studies.tasks.table_rows import ModelColumns, measured
from nc1fast.studies.tasks.task import DrawnData, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.tidy import Row

_PER_SECOND = 2.5e9  # operations of a pass on one thread; see `describe_plan`


class Kernels(Entry):
    """Kernels of one class, one for each activation and depth listed: arguments of the kernel classes."""

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

    def expand(self) -> Iterator[tuple[ModelColumns, Any]]:
        """Pairs of the columns that name a kernel, and the kernel."""
        if self.kernel in ("Linear", RELEASED_ERF_NTK):
            yield self._without_activation()
            return
        if self.activation is None:
            raise ValueError(f"{self.kernel} needs an activation")
        if self.kernel != "NTK":
            self._allow("activation", "slope", "depth", "weight_variance", "bias_variance")
        options = {
            name: value
            for name in ("parametrization", "width", "train_bias")
            if (value := getattr(self, name)) is not None
        }
        variances = {"weight_variance": self.weight_variance, "bias_variance": self.bias_variance}
        for name, depth in itertools.product(listed(self.activation), listed(self.depth)):
            activation = self._activation(name)
            kernel = getattr(_kernels, self.kernel)(activation, depth, **variances, **options)
            yield self._columns(str(activation), depth), kernel

    def _without_activation(self) -> tuple[ModelColumns, Any]:
        self._allow("weight_variance", "bias_variance")
        weight, bias = self.weight_variance, self.bias_variance
        if isinstance(weight, tuple) or isinstance(bias, tuple):
            per_layer = f"{self.kernel} takes one variance, not one per layer"
            raise ValueError(per_layer)  # noqa: TRY004  (pydantic tells of ValueErrors alone)
        if self.kernel == "Linear":
            return self._columns("", 1), _kernels.Linear(weight, bias)
        return self._columns("erf", 2), ReleasedErfNTK(weight, bias)

    def _activation(self, name: str) -> Activation:
        if name == "leaky_relu":
            return LeakyReLU() if self.slope is None else LeakyReLU(self.slope)
        if self.slope is not None:
            raise ValueError("slope belongs to the activation leaky_relu")
        return name

    def _allow(self, *names: str) -> None:
        if extra := self.model_fields_set - {"kernel", *names}:
            raise ValueError(f"{self.kernel} has no {', '.join(sorted(extra))}")

    def _columns(self, activation: str, depth: int) -> ModelColumns:
        return ModelColumns(
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
    """The data themselves, then all kernels of an arm, exactly or to a relative tolerance; every arm has this task."""

    entries: tuple[Kernels, ...]
    tolerance: float | None = None

    name = "kernels"
    libraries = ()
    chance = False

    def pairs(self) -> list[tuple[ModelColumns, Any]]:
        """The columns that name each kernel, and the kernel."""
        return [pair for entry in self.entries for pair in entry.expand()]

    def n_rows(self, conventions: Sequence[str]) -> int:
        """One row per model and convention, the data included."""
        return len(_of_data(conventions)) + len(self.pairs()) * len(conventions)

    def seconds(self, n_samples: int, n_features: int) -> float:
        """Estimate: pairs of rows times the operations of a pair."""
        operations = float(n_features)
        for named, kernel in self.pairs():
            dense = isinstance(kernel, ReleasedErfNTK)  # in NumPy: several passes over memory
            operations += 500.0 if dense else 25.0 * named.depth
        return n_samples**2 / 2 * operations / _PER_SECOND

    def compute(self, data: DrawnData) -> Outcome:
        """Measure the data, then all kernels in one pass."""
        answer, seconds = data.collapse(dtype="float64")
        rows = measured(ModelColumns("data"), answer, _of_data(data.conventions), seconds)
        shown: list[Row] = []
        for named, kernel, answer, seconds in self._passes(data):
            rows += measured(named, answer, data.conventions, seconds)
            if named.model in ("NNGP", "NTK") and named.depth == 2:
                shown += gram_series(data, named, kernel)
        return Outcome(rows, shown)

    def _passes(self, data: DrawnData) -> Iterator[tuple[ModelColumns, Any, Any, float]]:
        """Each kernel with its result, or the reason why there is none, and the seconds of its pass."""
        pairs = self.pairs()
        streamed = [k for _, k in pairs if not isinstance(k, ReleasedErfNTK)]
        options: dict[str, Any] = {}
        if self.tolerance is not None:
            options = {"method": "auto", "tolerance": self.tolerance, "seed": data.seed}
        together, seconds = data.collapse(streamed, **options) if streamed else ([], 0.0)
        answers = iter(() if isinstance(together, str) else together)
        for named, kernel in pairs:
            if isinstance(kernel, ReleasedErfNTK):
                yield named, kernel, *kernel.collapse(data)
            elif isinstance(
                together, str
            ):  # one kernel is at fault; the others still have an answer
                yield named, kernel, *data.collapse(kernel, **options)
            else:
                yield named, kernel, next(answers), seconds


def _of_data(conventions: Sequence[str]) -> list[str]:
    """Conventions of the data's own rows: the relative NC1 under "released" divides by that under "probe"."""
    return list(dict.fromkeys([*conventions, *(["probe"] if "released" in conventions else [])]))
