"""exact-step: What does the NTK miss of a step of gradient descent in a network of any width?

A shallow network f(x) = sqrt(1/m) a . h(W x/sqrt(d0)), with the change of f by a step of its
weights in powers and exactly. With u = W x/sqrt(d0), and d = D x/sqrt(d0) for a step D of W and b
of a, the term of order k is

    sqrt(1/m) sum_j [a_j h^(k)(u_j) d_j^k/k! + b_j h^(k-1)(u_j) d_j^(k-1)/(k-1)!]

For a step theta_1 = theta - eta g along the gradient g = sum_j grad f(x_j; theta) e_j/n, the
fundamental theorem of calculus says

    f(x; theta_1) - f(x; theta) = -eta sum_j Kbar(x, x_j) e_j/n,
    Kbar(x, x_j) = int_0^1 <grad f(x; theta - s eta g), grad f(x_j; theta)> ds

Source: Shilton et al. (2023, 2024), arXiv 2302.00205 and 2405.15254.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import nc1fast as nc
from nc1fast.studies.experiment import grid, nc1_on_d1, part
from nc1fast.studies.fields import Count, Positive
from nc1fast.studies.figures.measured import Figure, Lines
from nc1fast.studies.findings.measured import claim, exact, mean
from nc1fast.studies.library.entry import experiment
from nc1fast.studies.measures import Measure
from nc1fast.studies.quantities import measured, together
from nc1fast.support.extras import require

Array = NDArray[np.float64]
Activation = Literal["tanh", "erf"]

ORDERS = 3  # of the expansion
NTK, EXACT, TRAINING = "NTK of the network", "exact kernel of the step", "sum of exact steps"
RESIDUAL, ERROR = "residual of the change of f", "relative error of the change of f"
FIRST = "relative distance of order 1 from the NTK's step"


# What is measured


@dataclass(frozen=True, eq=False)
class ShallowWeights:
    """Weights W (m, d0) and a (m,) of a shallow network, or a step of them."""

    W: Array
    a: Array

    @classmethod
    def drawn(cls, width: int, d0: int, random: np.random.Generator) -> ShallowWeights:
        """Weights with standard normal entries."""
        return cls(random.standard_normal((width, d0)), random.standard_normal(width))

    def moved(self, step: ShallowWeights, length: float = 1.0) -> ShallowWeights:
        """These weights after a step of some length."""
        return ShallowWeights(self.W + length * step.W, self.a + length * step.a)

    def along(self, X: Array) -> Array:
        """Pre-activations W x/sqrt(d0) of rows, shape (n, m)."""
        return np.asarray(X @ self.W.T / math.sqrt(X.shape[1]))


@dataclass(frozen=True)
class ShallowDescent:
    """Gradient descent of a shallow network on the mean squared error of rows X with targets y."""

    activation: str
    X: Array
    y: Array

    @classmethod
    def drawn(
        cls, activation: str, width: int, n: int, d0: int, random: np.random.Generator
    ) -> tuple[ShallowDescent, ShallowWeights]:
        """Standard normal rows and targets, and weights at the start."""
        X = random.standard_normal((n, d0))
        theta = ShallowWeights.drawn(width, d0, random)
        return cls(activation, X, random.standard_normal(n)), theta

    def outputs(self, theta: ShallowWeights) -> Array:
        """The outputs f at the rows, shape (n,)."""
        [h] = derivatives(self.activation, theta.along(self.X), 0)
        return np.asarray(h @ theta.a / math.sqrt(len(theta.a)))

    def error(self, theta: ShallowWeights) -> Array:
        """(f - y)/n of the rows."""
        return (self.outputs(theta) - self.y) / len(self.y)

    def tangents(self, at: ShallowWeights, theta: ShallowWeights) -> Array:
        """Inner products <grad f(x; at), grad f(z; theta)> of all rows, shape (n, n)."""
        h, slope = derivatives(self.activation, at.along(self.X), 1)
        k, other = derivatives(self.activation, theta.along(self.X), 1)
        inner = self.X @ self.X.T / self.X.shape[1]
        return np.asarray((h @ k.T + inner * ((slope * at.a) @ (other * theta.a).T)) / len(at.a))

    def step(self, theta: ShallowWeights, eta: float) -> ShallowWeights:
        """The step -eta g of gradient descent."""
        h, slope = derivatives(self.activation, theta.along(self.X), 1)
        factor, error = 1 / math.sqrt(len(theta.a)), self.error(theta)
        back = factor * error[:, None] * slope * theta.a
        by_W, by_a = back.T @ self.X / math.sqrt(self.X.shape[1]), factor * (h.T @ error)
        return ShallowWeights(-eta * by_W, -eta * by_a)

    def terms(self, theta: ShallowWeights, step: ShallowWeights) -> list[Array]:
        """The terms of order 1 to 3 of f(theta + step) - f(theta)."""
        known = derivatives(self.activation, theta.along(self.X), ORDERS)
        d, factor, found = step.along(self.X), 1 / math.sqrt(len(theta.a)), []
        for k in range(1, ORDERS + 1):
            power = d ** (k - 1) / math.factorial(k - 1)
            by_W, by_a = (known[k] * power * d / k) @ theta.a, (known[k - 1] * power) @ step.a
            found.append(factor * (by_W + by_a))
        return found

    def exact_kernel(self, theta: ShallowWeights, step: ShallowWeights, points: int) -> Array:
        """Kbar of a step on all rows, by Gauss-Legendre points, shape (n, n)."""
        nodes, weights = np.polynomial.legendre.leggauss(points)
        parts = (
            w / 2 * self.tangents(theta.moved(step, (1 + s) / 2), theta)
            for s, w in zip(nodes, weights, strict=True)
        )
        return np.asarray(sum(parts))

    def predicted(self, theta: ShallowWeights, eta: float, points: int) -> Array:
        """The change of f by the exact kernel of a step."""
        K = self.exact_kernel(theta, self.step(theta, eta), points)
        return np.asarray(-eta * K @ self.error(theta))


def derivatives(activation: str, u: Array, order: int) -> list[Array]:
    """An activation and its derivatives up to an order of 3 at most: tanh' = 1 - tanh^2, erf' =
    2/sqrt(pi) exp(-u^2).
    """
    if activation == "tanh":
        t = np.tanh(u)
        slope = 1 - t**2
        found = [t, slope, -2 * t * slope, slope * (6 * t**2 - 2)]
    else:
        slope = 2 / math.sqrt(math.pi) * np.exp(-(u**2))
        erf = require("scipy.special", "study").erf(u)
        found = [erf, slope, -2 * u * slope, (4 * u**2 - 2) * slope]
    return found[: order + 1]


def order(q: int) -> str:
    """The name of the expansion up to that order."""
    return f"order {q}"


def distance(found: Array, exact: Array) -> float:
    """Relative to the exact vector."""
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


@part("orders", seconds=lambda p: 5e-3 + 1e-6 * p.width * len(p.etas), libraries=("scipy.special",))
def orders(
    random: np.random.Generator,
    *,
    activation: Activation = grid("tanh", "erf"),
    width: Count = grid(64),
    d0: Count = 5,
    n_samples: Count = 10,
    etas: Annotated[tuple[Positive, ...], Field(min_length=2)] = (0.04, 0.08, 0.16, 0.32),
) -> Iterator[Measure]:
    """Lengths of the residuals of the expansion of order 1, 2 and 3 after a step, along the
    learning rate eta, relative to |f - y| at the start.
    """
    descent, theta = ShallowDescent.drawn(activation, width, n_samples, d0, random)
    scale = float(np.linalg.norm(descent.outputs(theta) - descent.y))
    for eta in etas:
        step = descent.step(theta, eta)
        left = descent.outputs(theta.moved(step)) - descent.outputs(theta)
        for q, term in enumerate(descent.terms(theta, step), 1):
            left = left - term
            residual = float(np.linalg.norm(left)) / scale
            yield Measure(order(q), RESIDUAL, residual, at={"eta": eta})


@part(
    "steps",
    seconds=lambda p: 0.01 + p.steps * max(p.points) * (8e-5 + 1e-6 * p.width),
    libraries=("scipy.special",),
)
def exact_steps(
    random: np.random.Generator,
    *,
    activation: Activation = grid("tanh", "erf"),
    width: Count = grid(16, 64, 256),
    d0: Count = 5,
    n_samples: Count = 10,
    eta: Positive = 1.0,
    points: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 2, 4, 8, 12),
    steps: Count = 50,
) -> Iterator[Measure]:
    """Relative errors of the change of f: one step by the NTK of the network and by the exact
    kernel, and a whole training by exact steps.
    """
    descent, theta = ShallowDescent.drawn(activation, width, n_samples, d0, random)
    step, start = descent.step(theta, eta), descent.outputs(theta)
    change = descent.outputs(theta.moved(step)) - start
    by_ntk = -eta * descent.tangents(theta, theta) @ descent.error(theta)
    yield Measure(NTK, ERROR, distance(by_ntk, change))
    yield Measure(order(1), FIRST, distance(descent.terms(theta, step)[0], by_ntk))
    for n in points:
        found = descent.predicted(theta, eta, n)
        yield Measure(EXACT, ERROR, distance(found, change), at={"points": n})
    total = np.zeros_like(start)
    for _ in range(steps):
        total += descent.predicted(theta, eta, max(points))
        theta = theta.moved(descent.step(theta, eta))
    yield Measure(TRAINING, ERROR, distance(total, descent.outputs(theta) - start))


@nc1_on_d1(seconds=0.3, libraries=("scipy.special",))
def constructions_on_d1(
    X: Array, y: NDArray[Any], random: np.random.Generator
) -> Iterator[tuple[str, Any]]:
    """The NTK of width infinity, and at width 64 the NTK and the exact kernel of a first step,
    whose symmetric part has the same NC1.
    """
    yield "erf NTK", nc.collapse(X, y, nc.NTK("erf"), convention="papyan")
    theta = ShallowWeights.drawn(64, X.shape[1], random)
    descent = ShallowDescent("erf", X, np.where(y == y.max(), 1.0, -1.0))
    K = descent.tangents(theta, theta)
    name = "erf network of width 64"
    yield f"{name}, NTK", nc.collapse((K + K.T) / 2, y, "precomputed", convention="papyan")
    K = descent.exact_kernel(theta, descent.step(theta, 1.0), 12)
    found = nc.collapse((K + K.T) / 2, y, "precomputed", convention="papyan")
    yield f"{name}, exact kernel of a step", found


# What is claimed

missed = measured(ERROR, NTK)
by_points = measured(ERROR, EXACT)

CLAIMS = (
    claim(
        "ES1. The change of f is a power series in the step",
        "After the terms up to order q the residual falls as eta^(q + 1), the exponent within .1.",
        *(
            mean(f"exponent, order {q}", residual.power("eta"), q + 0.9, q + 1.1, digits=4)
            for q in range(1, ORDERS + 1)
            for residual in [measured(RESIDUAL, order(q))]
        ),
    ),
    claim(
        "ES2. Order 1 is the NTK's step",
        "The term of order 1 is -eta sum_j K(x, x_j) e_j/n with the NTK K of the network and the "
        "residuals e_j = f(x_j) - y_j, to rounding (1e-13).",
        exact("relative distance", measured(FIRST), high=1e-13, digits=1),
    ),
    claim(
        "ES3. A step is exact in a kernel of its own",
        "At every width f(theta - eta g) - f(theta) = -eta sum_j Kbar(x, x_j) e_j/n with the "
        "kernel of the step (ours), to 1e-12.",
        exact("relative error", by_points.last("points"), high=1e-12, digits=1),
    ),
    claim(
        "ES4. The NTK misses a part of the step",
        "At every one of these widths the NTK of the network alone misses more than 1e-8 of the "
        "step.",
        exact("relative error", missed, low=1e-8),
    ),
    claim(
        "ES5. The NTK is poor for narrow networks",
        "What the NTK misses of a step falls with the width, no slower than width^-1/2.",
        mean("exponent", missed.power("width"), high=-0.5),
    ),
    claim(
        "ES6. Training is a sum of exact steps",
        "The change of f over all steps is the sum of those of the kernels of the steps, to 1e-12.",
        exact("relative error", measured(ERROR, TRAINING), high=1e-12, digits=1),
    ),
)

# What is drawn

FIGURES = (
    Figure(
        "orders",
        "What is left of a step after the terms up to order q. Length of the residual of the "
        "change of f, relative to |f - y| at the start; a line of slope q + 1 for order q.",
        x="eta",
        x_name="learning rate",
        y_name="residual",
        lines=[
            Lines(measured(RESIDUAL, order(q)), label=order(q), shade=(q - 1, ORDERS))
            for q in range(1, ORDERS + 1)
        ],
        columns="activation",
    ),
    Figure(
        "exact",
        "Error of the change of f by the kernel of a step. At 0 points stands the NTK of the "
        "network; then the kernel of the step by Gauss-Legendre points between start and end of "
        "the step.",
        x="points",
        y_name="relative error",
        lines=[Lines(together(missed.placed(points=0), by_points), "width")],
        columns="activation",
        axis="counts",
    ),
)

STUDY = experiment(
    __doc__,
    title="Exact steps of gradient descent, after arXiv 2302.00205 and 2405.15254",
    parts=(orders, exact_steps, constructions_on_d1),
    presets={
        "quick": """
repeats: 3
parts:
  - {part: orders}
  - {part: steps}
  - {part: nc1}
""",
        "full": """
repeats: 10
parts:
  - {part: orders, width: [16, 64, 256]}
  - {part: steps, width: [16, 64, 256, 1024], steps: 200}
  - {part: nc1}
""",
    },
    claims=CLAIMS,
    figures=FIGURES,
    ours="The exact kernel of a step, the mean of <grad f(x; theta - s eta g), grad f(x'; theta)> "
    "over s from 0 to 1: the papers' formula was not read.",
)
