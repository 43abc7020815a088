"""Noisy gradient descent along the scaling alpha and the decay lambda; its prior and its end; NC1
of its networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

import nc1fast as nc
from nc1fast.studies.experiment import Part
from nc1fast.studies.fields import Count, Positive, Variance
from nc1fast.studies.library import on_d1
from nc1fast.studies.library.noisy_descent.descent import NoisySteps, SphereTask
from nc1fast.studies.measures import Measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.studies.measures import Setting

    Array = NDArray[np.float64]

NETWORK, KERNELS = "mean-field network", "kernels"
DRIFT = "largest relative change of the NTK"
LOSS, FLOOR = "training loss", "training loss at the end"
RATE = "least rate of the training loss over the linear one"
OFF = "mean square distance from the outputs without noise, at the end"
APART = "largest distance from the kernels' prediction"
MOVED = "mean square displacement of weights"
SEEN = 24  # steps, evenly in their logarithm, at which curves and kernels are looked at

LANGEVIN, PAPER = "Langevin", "step of the paper"
SECOND = "second moment over that of the prior"
RIDGES = {"NNGP": nc.NNGP("tanh"), "NTK": nc.NTK("tanh")}
FROM_RIDGE = "distance of the outputs from ridge regression"
_START, _LENGTH = 3.0, 6.0  # of the weights, and of eta lambda steps

_D1_WIDTH, _D1_STEPS, _D1_ALPHA, _D1_DECAY = 512, 150, 8.0, 0.1

Widths = Annotated[tuple[Count, ...], Field(min_length=1)]
Scales = Annotated[tuple[Positive, ...], Field(min_length=2)]
Decays = Annotated[tuple[Variance, ...], Field(min_length=2)]


def looked_at(steps: int) -> list[int]:
    """Steps of the curves, from the first to the last one."""
    return sorted({round(steps ** (i / (SEEN - 1))) for i in range(SEEN)})


def at_the_end(numbers: Array) -> float:
    """The mean over the last tenth of the steps."""
    return float(numbers[-max(1, len(numbers) // 10) :].mean())


@dataclass(frozen=True)
class DescentCourse:
    """One descent, seen from its steps.

    Attributes
    ----------
    outputs, predicted : ndarray of shape (steps + 1, n)
        f of the network, and by the kernels.
    drift, moved : float
        Largest relative change of the NTK; mean square displacement of the weights.
    """

    outputs: Array
    predicted: Array
    drift: float
    moved: float

    @classmethod
    def of(cls, network: Any, task: SphereTask, noise: NoisySteps) -> DescentCourse:
        """A descent of the network, which moves in place."""
        outputs, drift, weights = [], 0.0, _weights(network)
        K, seen = nc.networks.empirical_ntk(network, task.X), looked_at(noise.steps)
        for step, f in enumerate(task.descend(network, noise)):
            outputs.append(f)
            if step in seen:
                change = nc.networks.empirical_ntk(network, task.X) - K
                drift = max(drift, float(np.linalg.norm(change) / np.linalg.norm(K)))
        return cls(
            np.stack(outputs),
            task.predicted(outputs[0], network.scale, noise),
            drift,
            float(np.square(_weights(network) - weights).mean()),
        )


class NoisyDescents(Part):
    """Descents of one network on one task, for each alpha and lambda, with steps eta =
    `rate`/alpha^2.

    Where lambda is 0, as it must be once, there is neither decay nor noise.
    """

    grid: ClassVar[tuple[str, ...]] = ("width",)
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    part: Literal["descents"]
    width: Widths = (4000,)
    alpha: Scales = (2, 8, 32)
    decay: Decays = (0, 0.01, 0.1)
    n_samples: Count = 20
    d0: Count = 5
    steps: Annotated[int, Field(ge=10)] = 3000
    rate: Positive = 0.5

    @field_validator("decay")
    @classmethod
    def _plain_first(cls, decay: tuple[float, ...]) -> tuple[float, ...]:
        if 0 not in decay:
            raise ValueError("decay must contain 0, the descent without noise")
        return tuple(sorted(decay))

    def seconds(self, setting: Setting) -> float:
        """Of the steps: activations and their gradients, and noise."""
        m = int(setting["width"])
        step = 5.5e-4 + m * (8e-9 * self.n_samples + 1.4e-8 * (self.d0 + 1))
        return len(self.alpha) * len(self.decay) * (0.3 + self.steps * step)

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Loss, NTK and weights along each descent, all from the same weights and with the same
        noise.
        """
        task = SphereTask.drawn(self.n_samples, self.d0, random)
        seeds = [int(seed) for seed in random.integers(1 << 32, size=2)]
        for alpha in self.alpha:
            plain: Array | None = None
            for decay in self.decay:
                noise = NoisySteps(self.rate / alpha**2, self.steps, decay, seeds[1])
                network = nc.networks.MeanFieldNetwork(
                    "tanh", self.d0, width=int(setting["width"]), scale=alpha, seed=seeds[0]
                )
                course = DescentCourse.of(network, task, noise)
                plain = course.outputs if plain is None else plain
                at: Setting = {"alpha": alpha, "lambda": decay}
                yield from _losses(course, task, at)
                numbers = {
                    DRIFT: course.drift,
                    MOVED: course.moved,
                    APART: _largest(course.outputs - course.predicted) / _largest(task.y),
                    RATE: _rate(course.outputs, task, self.rate, noisy=decay > 0),
                }
                if decay:
                    numbers[OFF] = at_the_end(np.square(course.outputs - plain).mean(axis=1))
                for quantity, value in numbers.items():
                    yield Measure(NETWORK, quantity, value, at=at)


def _losses(course: DescentCourse, task: SphereTask, at: Setting) -> Iterator[Measure]:
    """The curves, of the network and by the kernels."""
    for thing, outputs in ((NETWORK, course.outputs), (KERNELS, course.predicted)):
        losses = task.losses(outputs)
        yield Measure(thing, FLOOR, at_the_end(losses), at=at)
        for step in looked_at(len(losses) - 1):
            yield Measure(thing, LOSS, float(losses[step]), at={**at, "step": step})


def _largest(vectors: Array) -> float:
    return float(np.linalg.norm(np.atleast_2d(vectors), axis=1).max())


def _rate(outputs: Array, task: SphereTask, rate: float, *, noisy: bool) -> float:
    """The least mean rate until any step of what is above the loss at the end, over 2 Lambda/n;
    time in units of 1/alpha^2.
    """
    losses = task.losses(outputs)
    above = losses - (at_the_end(losses) if noisy else 0.0)
    fallen = np.flatnonzero(above[1:] > 0) + 1
    least = float(np.linalg.eigvalsh(nc.NTK("tanh")(task.X))[0])
    slow = 2 * least / len(task.y) * rate * fallen
    return float((np.log(losses[0] / above[fallen]) / slow).min())


def _weights(network: Any) -> Array:
    """All weights, in one vector."""
    return np.concatenate([p.detach().numpy().ravel() for p in network.parameters()])


class ReturnToPrior(Part):
    """Weights without a gradient, from three times those of the prior, until eta lambda times the
    steps is 6.
    """

    grid: ClassVar[tuple[str, ...]] = ("step",)
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    part: Literal["prior"]
    step: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1)] = (
        0.03,
        0.1,
        0.3,
    )  # eta lambda
    width: Count = 40_000
    d0: Count = 5

    def seconds(self, setting: Setting) -> float:
        """Of the noise that is drawn, twice."""
        return 0.02 + 3e-8 * self.width * (self.d0 + 1) * _LENGTH / float(setting["step"])

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Second moments of the weights w and of the readout u, by the library's step and by the
        paper's.
        """
        import torch

        step, seed = float(setting["step"]), int(random.integers(1 << 32))
        for thing in (LANGEVIN, PAPER):
            network = nc.networks.MeanFieldNetwork("tanh", self.d0, width=self.width, seed=seed)
            generator = torch.Generator().manual_seed(seed)
            noise = nc.networks.Langevin(
                network.parameters(),
                lr=step,
                temperature=1.0,
                prior_variance=1.0,
                generator=generator,
            )
            with torch.no_grad():
                for p in network.parameters():
                    p.mul_(_START)
                for _ in range(math.ceil(_LENGTH / step)):
                    if thing == LANGEVIN:
                        noise.step()
                    else:
                        paper_step(network, step, generator)
                for name, p in (("w", network.weight), ("u", network.readout)):
                    second = float(p.square().mean())
                    yield Measure(thing, SECOND, second, at={"weights": name})


def paper_step(network: Any, step: float, generator: Any) -> None:
    """Theta <- theta - eta lambda theta + sqrt(2 eta lambda) xi, in place; `step` is eta lambda."""
    import torch

    for p in network.parameters():
        xi = torch.randn(p.shape, generator=generator, dtype=p.dtype)
        p.mul_(1 - step).add_(xi, alpha=math.sqrt(2 * step))


class DescentEquilibrium(Part):
    """Noisy descents until lambda t = 8, at a large alpha, with lambda = 2 alpha^2 ridge/n.

    The mean outputs over the second half of the steps, beside ridge regression with either kernel.
    """

    grid: ClassVar[tuple[str, ...]] = ("ridge",)
    libraries: ClassVar[tuple[str, ...]] = ("torch", "scipy.linalg")

    part: Literal["equilibrium"]
    ridge: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.1, 0.3, 1.0)
    width: Count = 20_000
    alpha: Positive = 16.0
    n_samples: Count = 10
    d0: Count = 5
    time: ClassVar[float] = 8.0

    def seconds(self, setting: Setting) -> float:
        """Of the steps, whose number falls with the ridge."""
        steps = 0.6 * self.n_samples * self.time / float(setting["ridge"])
        return 0.05 + steps * self.width * (1.6e-8 * self.n_samples + 2.8e-8 * (self.d0 + 1))

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Distances of the mean outputs from both, over |y|."""
        task, ridge = SphereTask.drawn(self.n_samples, self.d0, random), float(setting["ridge"])
        decay = 2 * self.alpha**2 * ridge / self.n_samples
        rate = _quarter_stable(task, self.alpha)
        seeds = [int(seed) for seed in random.integers(1 << 32, size=2)]
        network = nc.networks.MeanFieldNetwork(
            "tanh", self.d0, width=self.width, scale=self.alpha, seed=seeds[0]
        )
        noise = NoisySteps(rate, math.ceil(self.time / (rate * decay)), decay, seeds[1])
        outputs = np.stack(list(task.descend(network, noise)))
        found = outputs[len(outputs) // 2 :].mean(axis=0)
        for name, kernel in RIDGES.items():
            f = nc.prediction.ridge(kernel, task.X, task.y, task.X, ridge=ridge).mean
            yield Measure(name, FROM_RIDGE, _largest(found - f) / _largest(task.y))


def _quarter_stable(task: SphereTask, alpha: float) -> float:
    """The step eta with 2 eta alpha^2 lambda_max/n = 1/2, lambda_max of the NTK: a quarter of the
    largest stable one.
    """
    top = float(np.linalg.eigvalsh(nc.NTK("tanh")(task.X))[-1])
    return 0.25 * len(task.y) / top / alpha**2


class NoisyDescentOnD1(on_d1.OnD1):
    """Both limits, and the hidden features of a network with alpha = 8 before and after descents."""

    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    seconds_each: ClassVar[float] = 1.5

    def constructions(
        self, X: Array, y: NDArray[Any], random: np.random.Generator
    ) -> Iterator[tuple[str, Any]]:
        """150 steps of width 512, without noise and with lambda = .1."""
        import torch

        for name, kernel in RIDGES.items():
            yield f"tanh {name}", nc.collapse(X, y, kernel, convention="papyan")
        task = SphereTask(X, np.where(y == y.max(), 1.0, -1.0))
        rate = _quarter_stable(task, _D1_ALPHA)
        seed = int(random.integers(1 << 32))
        for state, decay, steps in (
            ("start", 0.0, 0),
            ("end without noise", 0.0, _D1_STEPS),
            (f"end with lambda = {_D1_DECAY:g}", _D1_DECAY, _D1_STEPS),
        ):
            network = nc.networks.MeanFieldNetwork(
                "tanh", X.shape[1], width=_D1_WIDTH, scale=_D1_ALPHA, seed=seed
            )
            for _ in task.descend(network, NoisySteps(rate, steps, decay, seed)):
                pass
            with torch.no_grad():
                H = network.features(torch.from_numpy(X)).numpy()
            yield f"mean-field network, {state}", nc.collapse(H, y, convention="papyan")
