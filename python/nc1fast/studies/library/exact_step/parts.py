"""The change of f by steps of gradient descent: its expansion in powers of the step, and the exact
kernel of a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

import nc1fast as nc
from nc1fast.studies.experiment import Part
from nc1fast.studies.fields import Count, Positive
from nc1fast.studies.library import on_d1
from nc1fast.studies.library.exact_step.network import Shallow, ShallowWeights
from nc1fast.studies.measures import Measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.studies.measures import Setting

    Array = NDArray[np.float64]

NTK, EXACT, TRAINING = "NTK of the network", "exact kernel of the step", "sum of exact steps"
RESIDUAL, ERROR, FIRST = (
    "residual of the change of f",
    "relative error of the change of f",
    "relative distance of order 1 from the NTK's step",
)
_D1_WIDTH, _POINTS = 64, 12

Activations = Annotated[tuple[Literal["tanh", "erf"], ...], Field(min_length=1)]
Several = Annotated[tuple[Count, ...], Field(min_length=1)]


def order(q: int) -> str:
    """The name of the expansion up to that order."""
    return f"order {q}"


@dataclass(frozen=True)
class _Problem:
    """A network at its start, with standard normal rows and targets."""

    net: Shallow
    theta: ShallowWeights
    X: Array
    y: Array

    @classmethod
    def drawn(
        cls, setting: Setting, sizes: tuple[int, int], random: np.random.Generator
    ) -> _Problem:
        """A problem of these numbers of rows and features."""
        X = random.standard_normal(sizes)
        theta = ShallowWeights.drawn(int(setting["width"]), sizes[1], random)
        return cls(Shallow(str(setting["activation"])), theta, X, random.standard_normal(sizes[0]))

    def error(self, theta: ShallowWeights) -> Array:
        """(f - y)/n of the rows."""
        return (self.net.outputs(theta, self.X) - self.y) / len(self.y)

    def step(self, theta: ShallowWeights, eta: float) -> ShallowWeights:
        """The step -eta g of gradient descent."""
        g = self.net.gradient(theta, self.X, self.error(theta))
        return ShallowWeights(-eta * g.W, -eta * g.a)

    def predicted(self, theta: ShallowWeights, eta: float, points: int) -> Array:
        """The change of f at the rows by the exact kernel of a step."""
        step = self.step(theta, eta)
        K = self.net.exact_kernel(theta, step, (self.X, self.X), points)
        return np.asarray(-eta * K @ self.error(theta))


class Orders(Part):
    """Residuals of the expansion of order 1, 2 and 3 after a step of gradient descent, along the
    learning rate eta.
    """

    grid: ClassVar[tuple[str, ...]] = ("activation", "width")
    libraries: ClassVar[tuple[str, ...]] = ("scipy.special",)

    part: Literal["orders"]
    activation: Activations = ("tanh", "erf")
    width: Several = (64,)
    d0: Count = 5
    n_samples: Count = 10
    etas: Annotated[tuple[Positive, ...], Field(min_length=2)] = (0.04, 0.08, 0.16, 0.32)

    def seconds(self, setting: Setting) -> float:
        """Of a few rows of features for each eta."""
        return 5e-3 + 1e-6 * int(setting["width"]) * len(self.etas)

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Lengths of the residuals, relative to |f - y| at the start."""
        problem = _Problem.drawn(setting, (self.n_samples, self.d0), random)
        net, theta, X = problem.net, problem.theta, problem.X
        scale = float(np.linalg.norm(net.outputs(theta, X) - problem.y))
        for eta in self.etas:
            step = problem.step(theta, eta)
            left = net.outputs(theta.moved(step), X) - net.outputs(theta, X)
            for q, term in enumerate(net.terms(theta, step, X), 1):
                left = left - term
                yield Measure(
                    order(q), RESIDUAL, float(np.linalg.norm(left)) / scale, at={"eta": eta}
                )


class Steps(Part):
    """One step of gradient descent by the NTK of the network and by the exact kernel, and a whole
    training by exact steps.
    """

    grid: ClassVar[tuple[str, ...]] = ("activation", "width")
    libraries: ClassVar[tuple[str, ...]] = ("scipy.special",)

    part: Literal["steps"]
    activation: Activations = ("tanh", "erf")
    width: Several = (16, 64, 256)
    d0: Count = 5
    n_samples: Count = 10
    eta: Positive = 1.0
    points: Several = (1, 2, 4, 8, 12)
    steps: Count = 50

    def seconds(self, setting: Setting) -> float:
        """Of a tangent kernel for each Gauss-Legendre point and step."""
        return 0.01 + self.steps * max(self.points) * (8e-5 + 1e-6 * int(setting["width"]))

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Relative errors of the change of f at the rows."""
        problem = _Problem.drawn(setting, (self.n_samples, self.d0), random)
        net, theta, X = problem.net, problem.theta, problem.X
        step, start = problem.step(theta, self.eta), net.outputs(theta, X)
        change = net.outputs(theta.moved(step), X) - start
        by_ntk = -self.eta * net.tangents(theta, X, theta, X) @ problem.error(theta)
        yield Measure(NTK, ERROR, _apart(by_ntk, change))
        yield Measure(order(1), FIRST, _apart(net.terms(theta, step, X)[0], by_ntk))
        for points in self.points:
            found = problem.predicted(theta, self.eta, points)
            yield Measure(EXACT, ERROR, _apart(found, change), at={"points": points})
        total = np.zeros_like(start)
        for _ in range(self.steps):
            total += problem.predicted(theta, self.eta, max(self.points))
            theta = theta.moved(problem.step(theta, self.eta))
        yield Measure(TRAINING, ERROR, _apart(total, net.outputs(theta, X) - start))


def _apart(found: Array, exact: Array) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


class ExactStepOnD1(on_d1.OnD1):
    """Kernels of a first step of gradient descent."""

    libraries: ClassVar[tuple[str, ...]] = ("scipy.special",)
    seconds_each: ClassVar[float] = 0.3

    def constructions(
        self, X: Array, y: NDArray[Any], random: np.random.Generator
    ) -> Iterator[tuple[str, Any]]:
        """The NTK of width infinity, and at width 64 the NTK and the exact kernel, whose symmetric
        part has the same NC1.
        """
        yield "erf NTK", nc.collapse(X, y, nc.NTK("erf"), convention="papyan")
        targets = np.where(y == y.max(), 1.0, -1.0)
        theta = ShallowWeights.drawn(_D1_WIDTH, X.shape[1], random)
        problem = _Problem(Shallow("erf"), theta, X, targets)
        K = problem.net.tangents(theta, X, theta, X)
        name = f"erf network of width {_D1_WIDTH}"
        yield f"{name}, NTK", nc.collapse((K + K.T) / 2, y, "precomputed", convention="papyan")
        step = problem.step(theta, 1.0)
        K = problem.net.exact_kernel(theta, step, (X, X), _POINTS)
        yield (
            f"{name}, exact kernel of a step",
            nc.collapse((K + K.T) / 2, y, "precomputed", convention="papyan"),
        )
