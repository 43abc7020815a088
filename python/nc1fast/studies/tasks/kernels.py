"""Limiting kernels of an arm and the data themselves, one pass for all; their expected NC1; and the
released code's erf NTK.

The one module outside `nc1fast.compat` that may use it, for the numbers of the code released with
arXiv 2406.02105: `nc1fast.studies.table` has the names of its two models.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, model_validator
from pydantic_core import PydanticKnownError

import nc1fast as nc
from nc1fast import kernels as _kernels
from nc1fast.compat.equations import ANNEALING, released_adaptive
from nc1fast.compat.released import erf_ntk
from nc1fast.core.activations import Activation, LeakyReLU
from nc1fast.kernels import registry
from nc1fast.studies.fields import Count, Entry, Number, Variance, joined, listed
from nc1fast.studies.sources import GaussianMixture
from nc1fast.studies.table import RELEASED_ADAPTIVE, RELEASED_ERF_NTK
from nc1fast.studies.tasks.rows import (
    MEASURED,
    ModelColumns,
    attempt,
    measured,
    numbers,
)
from nc1fast.studies.tasks.task import DrawnData, Outcome
from nc1fast.support.plugins import PluginError
from nc1fast.support.reading import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.tasks.task import DrawnData
    from nc1fast.studies.tidy import Row


__all__ = [
    "ANNEALING",
    "RELEASED_ADAPTIVE",
    "RELEASED_ERF_NTK",
    "ReleasedErfNTK",
    "released_adaptive",
]


@dataclass(frozen=True)
class ReleasedErfNTK:
    """The erf NTK of the released code; one weight and one bias variance for both layers."""

    weight_variance: float
    bias_variance: float

    def collapse(self, data: DrawnData) -> tuple[Any, float]:
        """Collapse of its Gram matrix, or the reason why there is none, and the seconds it took."""
        K, formed = attempt(erf_ntk, data.X, **dataclasses.asdict(self))
        if isinstance(K, str):
            return K, formed
        answer, seconds = attempt(nc.collapse, K, data.y, "precomputed", **MEASURED)
        return answer, formed + seconds


_PER_SECOND = 2.5e9  # operations of a pass on one thread; see `describe_plan`


CLASSES = ("ConjugateKernel", "NNGP", "NTK", "Linear", RELEASED_ERF_NTK)


def _known(name: str) -> str:
    """The name of a class of the package, or of a plug-in that can be used."""
    try:
        if name in CLASSES or registry.PLUGINS.get(name) is not None:
            return name
    except PluginError as error:
        raise ValueError(str(error)) from None
    *most, last = map(repr, (*CLASSES, *registry.PLUGINS.offered()))
    raise PydanticKnownError("literal_error", {"expected": f"{', '.join(most)} or {last}"})


class Kernels(Entry):
    """Kernels of one class, one for each activation and depth listed: arguments of the kernel
    classes.

    A kernel of a plug-in takes those of these keys that are fields of its class; what is left out
    has the default of the class.
    """

    kernel: Annotated[str, AfterValidator(_known)]
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
        if self.kernel not in CLASSES:
            yield from self._of_plugin()
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

    def _of_plugin(self) -> Iterator[tuple[ModelColumns, Any]]:
        kind = registry.of_option(self.kernel)
        own = {field.name for field in dataclasses.fields(kind) if field.init}
        self._allow(*own, *(["slope"] if "activation" in own else []))
        given = {name: getattr(self, name) for name in self.model_fields_set & own}
        axes = [
            listed(given.pop(name)) if name in given else () for name in ("activation", "depth")
        ]
        for name, depth in itertools.product(*(axis or (None,) for axis in axes)):
            chosen = {} if name is None else {"activation": self._activation(name)}
            chosen |= {} if depth is None else {"depth": depth}
            try:
                kernel = kind(**given, **chosen)
            except Exception as error:  # of code that is not ours
                raise ValueError(f"{self.kernel}: {one_line(error)}") from error
            yield _columns_of(self.kernel, kernel), kernel

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


def _columns_of(name: str, kernel: Any) -> ModelColumns:
    """The columns of a kernel of a plug-in, from those fields that kernels of the package have."""
    weight, bias = (
        joined(value)
        if isinstance(value := getattr(kernel, field, None), int | float | tuple)
        else ""
        for field in ("weight_variance", "bias_variance")
    )
    return ModelColumns(
        name,
        str(getattr(kernel, "activation", "")),
        kernel.depth,
        weight,
        bias,
        parametrization=getattr(kernel, "parametrization", ""),
        width=listed(getattr(kernel, "width", None) or 0)[-1],
    )


@dataclass(frozen=True)
class KernelTask:
    """The data themselves, then all kernels of an arm, exactly or to a relative tolerance; every
    arm has this task.
    """

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
                shown += data.gram_series(named, kernel)
        return Outcome(rows, shown)

    def _passes(self, data: DrawnData) -> Iterator[tuple[ModelColumns, Any, Any, float]]:
        """Each kernel with its result, or the reason why there is none, and the seconds of its
        pass.
        """
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
    """Conventions of the data's own rows: the relative NC1 under "released" divides by that under
    "probe".
    """
    return list(dict.fromkeys([*conventions, *(["probe"] if "released" in conventions else [])]))


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
