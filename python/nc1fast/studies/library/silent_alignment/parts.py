"""Linear networks along gradient flow: alignment and NC1 of the tangent kernel by the loss, and the
kernel machine at the end.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

import nc1fast as nc
from nc1fast.networks.linear import LinearNetwork
from nc1fast.studies.experiment import Part
from nc1fast.studies.fields import Count, Positive
from nc1fast.studies.library import on_d1
from nc1fast.studies.measures import Measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.networks.linear import LinearFlow
    from nc1fast.studies.measures import Setting

    Array = NDArray[np.float64]

TANGENT, START, EARLY, END = (
    "tangent kernel",
    "tangent kernel, start",
    "tangent kernel, loss fallen by 5 %",
    "tangent kernel, end",
)
LIMIT = "tangent kernel of the balanced network"
ALIGNMENT, NC1 = "alignment", "nc1"
GAINED = "share of its way that alignment has gone"
COLLAPSED = "share of its way that log NC1 has gone"
OVER_END = "NC1 over that at the end"
CLOSED = "relative difference of alignment from L/sqrt(d0 - 1 + L^2)"
FINAL = "final alignment over that of the balanced network"
LIKENESS = "cosine with the final tangent kernel"
IDENTITY = "relative difference of alignment from N Tr Sigma_B/|K|"
MACHINE = "relative distance of the network from its kernel machine"

SILENT = 0.05  # of the loss has gone when alignment is judged
_UNTIL, _LONGEST = 1e-8, 1e7  # share of the loss that is left at the end, and the longest time
_D1_WIDTH, _D1_SCALE, _D1_UNTIL = 50, 0.01, 0.01

Several = Annotated[tuple[Count, ...], Field(min_length=1)]
Depths = Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1)]
Scales = Annotated[tuple[Positive, ...], Field(min_length=1)]
Kinds = Annotated[tuple[Literal["whitened", "normal", "graded"], ...], Field(min_length=1)]
Even = Annotated[int, Field(ge=4, multiple_of=2)]
Shares = Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], Field(min_length=1)]
SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 0.99)


def drawn_rows(kind: str, n: int, d0: int, random: np.random.Generator) -> Array:
    """Standard normal rows; "whitened": all singular values equal; "graded": the variance of
    feature k is 1/k, in the mean 1.
    """
    X = random.standard_normal((n, d0))
    if kind == "whitened":
        U, _, V = np.linalg.svd(X, full_matrices=False)
        return np.asarray(math.sqrt(max(n, d0)) * U @ V)
    if kind == "graded":
        variances = 1 / np.arange(1, d0 + 1)
        return np.asarray(X * np.sqrt(variances / variances.mean()))
    return X


def drawn_teacher(d0: int, random: np.random.Generator) -> Array:
    """A direction of length 1, evenly distributed."""
    beta = random.standard_normal(d0)
    return np.asarray(beta / np.linalg.norm(beta))


def drawn_network(d0: int, sizes: tuple[int, int], random: np.random.Generator) -> LinearNetwork:
    """A linear network of one output, of these depth and width, before it is scaled: weights N(0,
    1/width).
    """
    depth, width = sizes
    return LinearNetwork.drawn(
        d0, depth=depth, width=width, weight_std=1 / math.sqrt(width), seed=random
    )


class _LinearCourse(NamedTuple):
    """The flow of one network until a small share of the loss is left."""

    X: Array
    targets: Array
    flow: LinearFlow

    @classmethod
    def of(
        cls, data: tuple[Array, Array], start: LinearNetwork, scale: float, until: float = _UNTIL
    ) -> _LinearCourse:
        X, targets = data
        network = LinearNetwork([scale * W for W in start.weights])
        flow = network.gradient_flow(X, targets, time=_LONGEST, until=until)
        if flow.end >= _LONGEST:
            raise ValueError(f"the loss has not fallen by time {_LONGEST:g}")
        return cls(X, targets, flow)

    def at(self, fallen: float) -> LinearNetwork:
        """The network when that share of the loss is gone."""
        return self.flow.at(self.flow.time_of(fallen))

    def end(self) -> LinearNetwork:
        return self.flow.at(self.flow.end)

    def alignment(self, network: LinearNetwork) -> float:
        """That of its tangent kernel with the targets."""
        found = nc.alignment(self.X, self.targets, network.tangent_features(self.X))
        return float(found.target[0])


class _LinearTraining(Part):
    """Linear networks from weights scale N(0, 1/width); on one draw the weights of all scales are
    the same but for it.
    """

    grid: ClassVar[tuple[str, ...]] = ("depth", "inputs")
    libraries: ClassVar[tuple[str, ...]] = ("scipy.integrate", "scipy.optimize")

    depth: Depths = (2,)
    inputs: Kinds = ("whitened", "normal", "graded")
    scales: Scales = (0.3, 0.1, 0.03, 0.01)
    d0: Count = 30
    width: Count = 50
    n_samples: Even = 60

    def _drawn(
        self, setting: Setting, random: np.random.Generator
    ) -> tuple[Array, Array, LinearNetwork]:
        """Rows, teacher and weights of a draw."""
        X = drawn_rows(str(setting["inputs"]), self.n_samples, self.d0, random)
        beta = drawn_teacher(self.d0, random)
        return X, beta, drawn_network(self.d0, (int(setting["depth"]), self.width), random)

    def seconds(self, setting: Setting) -> float:
        """Of a flow for each scale, longest where features differ most in variance."""
        steps = {"whitened": 25, "normal": 60, "graded": 200}[str(setting["inputs"])]
        each = 3e-4 * (int(setting["depth"]) - 1) * (1 + (self.width / 50) ** 2)
        return 0.1 + len(self.scales) * (0.02 + steps * each)


class LinearTeachers(_LinearTraining):
    """Targets of a linear teacher, X beta: alignment of the tangent kernel by the share of the loss
    that is gone.
    """

    part: Literal["teachers"]
    fallen: Shares = SHARES

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Alignment along the loss; what is gained, and how like the final kernel it is, at 5 %;
        the end beside its limit.
        """
        X, beta, start = self._drawn(setting, random)
        for scale in self.scales:
            course = _LinearCourse.of((X, X @ beta), start, scale)
            at: Setting = {"scale": scale}
            for fallen in self.fallen:
                found = course.alignment(course.at(fallen))
                yield Measure(TANGENT, ALIGNMENT, found, at={**at, "fallen": fallen})
            early, end = course.at(SILENT), course.end()
            first, silent, last = map(course.alignment, (course.at(0.0), early, end))
            limit = course.alignment(
                LinearNetwork.balanced(course.flow.best, int(setting["depth"]))
            )
            yield Measure(END, ALIGNMENT, last, at=at)
            yield Measure(LIMIT, ALIGNMENT, limit, at=at)
            yield Measure(END, FINAL, last / limit, at=at)
            if setting["inputs"] == "whitened":
                layers = int(setting["depth"])
                closed = layers / math.sqrt(self.d0 - 1 + layers**2)
                yield Measure(LIMIT, CLOSED, abs(limit / closed - 1), at=at)
            yield Measure(EARLY, GAINED, (silent - first) / (last - first), at=at)
            K, other = early.ntk(X), end.ntk(X)
            cosine = float(np.sum(K * other) / (np.linalg.norm(K) * np.linalg.norm(other)))
            yield Measure(EARLY, LIKENESS, cosine, at=at)


class HalvedTeachers(_LinearTraining):
    """Two classes of equal size, the halves above and below the median of a teacher: NC1 of the
    tangent kernel by the loss.

    The loss is what is above the least one of a linear map.
    """

    part: Literal["classes"]
    fallen: Shares = SHARES

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """NC1 along the loss, its share of the way at 5 %, and alignment both ways."""
        X, beta, start = self._drawn(setting, random)
        along = X @ beta
        y = np.where(along > np.median(along), 1, -1)
        for scale in self.scales:
            course = _LinearCourse.of((X, y.astype(np.float64)), start, scale)
            at: Setting = {"scale": scale}
            apart = 0.0
            for fallen in self.fallen:
                network = course.at(fallen)
                result = nc.collapse(network.tangent_features(X), y, convention="papyan")
                where = {**at, "fallen": fallen}
                yield Measure(TANGENT, NC1, result.nc1, result.error_bound, where)
                found, difference = identity(X, y, network.tangent_features(X), result)
                yield Measure(TANGENT, ALIGNMENT, found, at=where)
                apart = max(apart, difference)
            yield Measure(TANGENT, IDENTITY, apart, at=at)
            states = (course.at(0.0), course.at(SILENT), course.end())
            features = ((network.tangent_features(X), y) for network in states)
            results = nc.collapse_each(features, convention="papyan")
            first, silent, last = (result.nc1 for result in results)
            yield Measure(END, NC1, last, at=at)
            yield Measure(EARLY, OVER_END, silent / last, at=at)
            share = math.log(silent / first) / math.log(last / first)
            yield Measure(EARLY, COLLAPSED, share, at=at)


def identity(X: Array, y: NDArray[Any], kernel: Any, result: Any) -> tuple[float, float]:
    """Alignment of a kernel, and its relative difference from N Tr Sigma_B/|K| with Tr Sigma_B of a
    result of `collapse`.
    """
    found = nc.alignment(X, y, kernel)
    by_collapse = len(y) * result.trace_between / float(found.norms[0])
    return float(found.target[0]), abs(by_collapse / float(found.target[0]) - 1)


class KernelMachines(_LinearTraining):
    """Fewer rows than features: the network at the end beside regression with its own tangent
    kernels.
    """

    part: Literal["machines"]
    n_samples: Even = 20

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Distances of the linear maps, relative to that of the machine."""
        X, beta, start = self._drawn(setting, random)
        for scale in self.scales:
            course = _LinearCourse.of((X, X @ beta), start, scale)
            end = course.end()
            kernels = {START: course.at(0.0), EARLY: course.at(SILENT), END: end}
            for thing, network in kernels.items():
                M = network.tangent_metric
                machine = M @ X.T @ np.linalg.solve(X @ M @ X.T, X @ beta)
                apart = np.linalg.norm(end.matrix[0] - machine) / np.linalg.norm(machine)
                yield Measure(thing, MACHINE, float(apart), at={"scale": scale})


class AlignmentIdentity(Part):
    """Alignment with balanced labels +-1 beside N Tr Sigma_B/|K|, for limiting kernels on D1."""

    grid: ClassVar[tuple[str, ...]] = ("activation", "d0")

    part: Literal["identity"]
    activation: Annotated[tuple[str, ...], Field(min_length=1)] = ("relu", "erf")
    d0: Several = (1, 8, 128)
    n_samples: Even = 128

    def seconds(self, setting: Setting) -> float:
        """Of three passes over the pairs for each kernel."""
        del setting
        return 0.02 + 1e-6 * self.n_samples**2

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """The relative difference, and alignment, of NNGP and NTK."""
        d0, activation = int(setting["d0"]), str(setting["activation"])
        X, y = nc.datasets.paper_d1(self.n_samples, d0, int(random.integers(1 << 32)))
        for kernel in (nc.NNGP(activation), nc.NTK(activation)):
            result = nc.collapse(X, y, kernel, convention="papyan")
            found, apart = identity(X, y, kernel, result)
            yield Measure(kernel.name, ALIGNMENT, found)
            yield Measure(kernel.name, IDENTITY, apart)


class AlignmentOnD1(on_d1.OnD1):
    """The linear kernel, and the tangent kernel of a trained linear network."""

    libraries: ClassVar[tuple[str, ...]] = ("scipy.integrate", "scipy.optimize")
    seconds_each: ClassVar[float] = 0.1

    def constructions(
        self, X: Array, y: NDArray[Any], random: np.random.Generator
    ) -> Iterator[tuple[str, Any]]:
        """The limit of wide networks, and width 50 from small weights: the loss fallen by 0, 5 and
        99 %.
        """
        yield "linear NTK", nc.collapse(X, y, nc.Linear(), convention="papyan")
        d0 = X.shape[1]
        start = drawn_network(d0, (2, _D1_WIDTH), random)
        data = (X / math.sqrt(d0), np.where(y == y.max(), 1.0, -1.0))
        course = _LinearCourse.of(data, start, _D1_SCALE, _D1_UNTIL)
        name = f"linear network of width {_D1_WIDTH}"
        for thing, network in (
            ("start", course.at(0.0)),
            ("loss fallen by 5 %", course.at(SILENT)),
            ("loss fallen by 99 %", course.end()),
        ):
            found = nc.collapse(network.tangent_features(X), y, convention="papyan")
            yield f"{name}, NTK, {thing}", found
