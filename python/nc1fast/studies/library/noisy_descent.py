"""noisy-descent: Does noisy gradient descent with weight decay stay kernel-like, though its
weights do not stay?

The descent and its prediction by kernels (ours) are those of `nc1fast.networks.noisy_descent`, f =
(alpha/m) sum_j u_j tanh(<w_j, x>/sqrt(d0)).

Source: Chen, Cao, Gu & Zhang (2020), arXiv 2002.04026.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

import nc1fast as nc
from nc1fast.networks.noisy_descent import (
    NoisyPath,
    NoisySteps,
    SphereTask,
    at_the_end,
    looked_at,
)
from nc1fast.studies.experiment import grid, nc1_on_d1, part
from nc1fast.studies.fields import Count, Positive, Variance
from nc1fast.studies.figures.measured import Figure, Lines
from nc1fast.studies.findings.measured import claim, mean
from nc1fast.studies.library.entry import experiment
from nc1fast.studies.measures import Measure
from nc1fast.studies.quantities import measured

Array = NDArray[np.float64]

NETWORK, KERNELS = "mean-field network", "kernels"
DRIFT = "largest relative change of the NTK"
LOSS, FLOOR = "training loss", "training loss at the end"
RATE = "least rate of the training loss over the linear one"
OFF = "mean square distance from the outputs without noise, at the end"
APART = "largest distance from the kernels' prediction"
MOVED = "mean square displacement of weights"
LANGEVIN, PAPER = "Langevin", "step of the paper"
SECOND = "second moment over that of the prior"
FROM_RIDGE = "distance of the outputs from ridge regression"

NNGP, NTK = nc.NNGP("tanh"), nc.NTK("tanh")


def plain_first(decay: tuple[float, ...]) -> tuple[float, ...]:
    """Ascending values of lambda, among them 0, the descent without noise."""
    if 0 not in decay:
        raise ValueError("decay must contain 0, the descent without noise")
    return tuple(sorted(decay))


Scales = Annotated[tuple[Positive, ...], Field(min_length=2)]
Decays = Annotated[tuple[Variance, ...], Field(min_length=2), AfterValidator(plain_first)]
Share = Annotated[float, Field(gt=0, lt=1)]


# What is measured


def relative_rate(outputs: Array, task: SphereTask, rate: float, *, noisy: bool) -> float:
    """The least mean rate until any step of what is above the loss at the end, over 2 Lambda/n;
    time in units of 1/alpha^2.
    """
    losses = task.losses(outputs)
    above = losses - (at_the_end(losses) if noisy else 0.0)
    fallen = np.flatnonzero(above[1:] > 0) + 1
    slow = 2 * task.ntk_eigenvalues()[0] / len(task.y) * rate * fallen
    return float((np.log(losses[0] / above[fallen]) / slow).min())


def largest(vectors: Array) -> float:
    """The largest length of some vectors."""
    return float(np.linalg.norm(np.atleast_2d(vectors), axis=1).max())


@part(
    "descents",
    seconds=lambda p: (
        len(p.alpha)
        * len(p.decay)
        * (0.3 + p.steps * (5.5e-4 + p.width * (8e-9 * p.n_samples + 1.4e-8 * (p.d0 + 1))))
    ),
    libraries=("torch",),
)
def noisy_descents(
    random: np.random.Generator,
    *,
    width: Count = grid(4000),
    alpha: Scales = (2, 8, 32),
    decay: Decays = (0, 0.01, 0.1),
    n_samples: Count = 20,
    d0: Count = 5,
    steps: Annotated[int, Field(ge=10)] = 3000,
    rate: Positive = 0.5,
) -> Iterator[Measure]:
    """Descents on one task for each alpha and lambda, with steps eta = rate/alpha^2, all from the
    same weights and with the same noise; where lambda is 0 there is neither decay nor noise.
    """
    task = SphereTask.drawn(n_samples, d0, random)
    seeds = [int(seed) for seed in random.integers(1 << 32, size=2)]
    for a in alpha:
        plain: Array | None = None
        for b in decay:
            noise = NoisySteps(rate / a**2, steps, b, seeds[1])
            network = nc.networks.MeanFieldNetwork("tanh", d0, width=width, scale=a, seed=seeds[0])
            descent = NoisyPath.of(network, task, noise)
            plain = descent.outputs if plain is None else plain
            at = {"alpha": a, "lambda": b}
            for thing, outputs in ((NETWORK, descent.outputs), (KERNELS, descent.predicted)):
                losses = task.losses(outputs)
                yield Measure(thing, FLOOR, at_the_end(losses), at=at)
                for step in looked_at(len(losses) - 1):
                    yield Measure(thing, LOSS, float(losses[step]), at={**at, "step": step})
            distance = largest(descent.outputs - descent.predicted) / largest(task.y)
            numbers = {
                DRIFT: descent.drift,
                MOVED: descent.moved,
                APART: distance,
                RATE: relative_rate(descent.outputs, task, rate, noisy=b > 0),
            }
            if b:
                numbers[OFF] = at_the_end(np.square(descent.outputs - plain).mean(axis=1))
            for quantity, value in numbers.items():
                yield Measure(NETWORK, quantity, value, at=at)


@part(
    "prior",
    seconds=lambda p: 0.02 + 1.8e-7 * p.width * (p.d0 + 1) / p.step,
    libraries=("torch",),
)
def return_to_prior(
    random: np.random.Generator,
    *,
    step: Share = grid(0.03, 0.1, 0.3),
    width: Count = 40_000,
    d0: Count = 5,
) -> Iterator[Measure]:
    """Second moments of w and u without a gradient, from three times those of the prior until eta
    lambda times the steps is 6, by the library's step and by the paper's; `step` is eta lambda.
    """
    import torch

    seed = int(random.integers(1 << 32))
    for thing in (LANGEVIN, PAPER):
        network = nc.networks.MeanFieldNetwork("tanh", d0, width=width, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        settings = {"lr": step, "temperature": 1.0, "prior_variance": 1.0}
        noise = nc.networks.Langevin(network.parameters(), generator=generator, **settings)
        with torch.no_grad():
            for p in network.parameters():
                p.mul_(3.0)
            for _ in range(math.ceil(6.0 / step)):
                if thing == LANGEVIN:
                    noise.step()
                else:
                    paper_step(network, step, generator)
            for name, p in (("w", network.weight), ("u", network.readout)):
                yield Measure(thing, SECOND, float(p.square().mean()), at={"weights": name})


def paper_step(network: Any, step: float, generator: Any) -> None:
    """Theta <- theta - eta lambda theta + sqrt(2 eta lambda) xi, in place; `step` is eta lambda."""
    import torch

    for p in network.parameters():
        xi = torch.randn(p.shape, generator=generator, dtype=p.dtype)
        p.mul_(1 - step).add_(xi, alpha=math.sqrt(2 * step))


@part(
    "equilibrium",
    seconds=lambda p: (
        0.05 + 4.8 * p.n_samples / p.ridge * p.width * (1.6e-8 * p.n_samples + 2.8e-8 * (p.d0 + 1))
    ),
    libraries=("torch", "scipy.linalg"),
)
def equilibrium(
    random: np.random.Generator,
    *,
    ridge: Positive = grid(0.1, 0.3, 1.0),
    width: Count = 20_000,
    alpha: Positive = 16.0,
    n_samples: Count = 10,
    d0: Count = 5,
) -> Iterator[Measure]:
    """Noisy descents until lambda t = 8, with lambda = 2 alpha^2 ridge/n: the mean outputs over the
    second half of the steps beside ridge regression with either kernel, over |y|.
    """
    task = SphereTask.drawn(n_samples, d0, random)
    decay, rate = 2 * alpha**2 * ridge / n_samples, quarter_stable(task, alpha)
    seeds = [int(seed) for seed in random.integers(1 << 32, size=2)]
    network = nc.networks.MeanFieldNetwork("tanh", d0, width=width, scale=alpha, seed=seeds[0])
    noise = NoisySteps(rate, math.ceil(8.0 / (rate * decay)), decay, seeds[1])
    outputs = np.stack(list(task.descend(network, noise)))
    found = outputs[len(outputs) // 2 :].mean(axis=0)
    for kernel in (NNGP, NTK):
        f = nc.prediction.ridge(kernel, task.X, task.y, task.X, ridge=ridge).mean
        yield Measure(kernel.name, FROM_RIDGE, largest(found - f) / largest(task.y))


def quarter_stable(task: SphereTask, alpha: float) -> float:
    """The step eta with 2 eta alpha^2 lambda_max/n = 1/2, lambda_max of the NTK: a quarter of the
    largest stable one.
    """
    return 0.25 * len(task.y) / float(task.ntk_eigenvalues()[-1]) / alpha**2


@nc1_on_d1(seconds=1.5, libraries=("torch",))
def constructions_on_d1(
    X: Array, y: NDArray[Any], random: np.random.Generator
) -> Iterator[tuple[str, Any]]:
    """Both limits, and the hidden features of a network of width 512 with alpha = 8, before and
    after 150 steps without noise and with lambda = .1.
    """
    import torch

    for kernel in (NNGP, NTK):
        yield f"tanh {kernel.name}", nc.collapse(X, y, kernel, convention="papyan")
    task = SphereTask(X, np.where(y == y.max(), 1.0, -1.0))
    rate, seed = quarter_stable(task, 8.0), int(random.integers(1 << 32))
    states = (
        ("start", 0.0, 0),
        ("end without noise", 0.0, 150),
        ("end with lambda = 0.1", 0.1, 150),
    )
    for state, decay, steps in states:
        network = nc.networks.MeanFieldNetwork("tanh", X.shape[1], width=512, scale=8.0, seed=seed)
        for _ in task.descend(network, NoisySteps(rate, steps, decay, seed)):
            pass
        with torch.no_grad():
            H = network.features(torch.from_numpy(X)).numpy()
        yield f"mean-field network, {state}", nc.collapse(H, y, convention="papyan")


# What is claimed

drift, moved = measured(DRIFT, NETWORK), measured(MOVED, NETWORK)
off, distance = measured(OFF, NETWORK), measured(APART, NETWORK)


def quarter(alpha: float) -> float:
    """Where ratios to the largest alpha start."""
    return alpha / 4


CLAIMS = (
    claim(
        "ND1. The larger alpha, the less the kernel moves",
        "Without noise, four times alpha, to its largest value, leaves less than a quarter of the "
        "largest relative change of the NTK.",
        mean("factor", drift.at(**{"lambda": 0}).ends("alpha", quarter), high=0.25),
    ),
    claim(
        "ND2. Noise carries the weights away, and the kernel stays",
        "At the largest alpha and lambda the mean square displacement of the weights is at least "
        "twice that without noise, the largest relative change of the NTK no more than twice.",
        mean("displacement, times", moved.last("alpha").ends("lambda"), low=2.0),
        mean("change of the NTK, times", drift.last("alpha").ends("lambda"), high=2.0),
    ),
    claim(
        "ND3. The training loss converges linearly up to a certain accuracy",
        "At every step L <= L_0 exp(-2 alpha^2 Lambda t/n) + the loss at the end (none without "
        "noise), Lambda the least eigenvalue of the NTK, t = eta times the steps. (The rate is "
        "ours: half of what a constant kernel gives.)",
        mean("mean rate until any step, over this one,", measured(RATE, NETWORK), low=1.0),
    ),
    claim(
        "ND4. The accuracy is worse with lambda and better with alpha",
        "The mean square distance of the outputs from those without noise, at the end (the "
        "training loss, once descents without noise have converged), rises with lambda, at every "
        "alpha, and falls with alpha, at every lambda.",
        mean("from one lambda to the next, times", off.steps("lambda"), low=1.0),
        mean("from one alpha to the next, times", off.steps("alpha"), high=1.0),
    ),
    claim(
        "ND5. Without a gradient the weights return to the prior",
        "From three times those of the prior, the second moments of the weights come back to 1 "
        "within 2 %, for any step eta lambda.",
        mean("second moment", measured(SECOND, LANGEVIN), 0.98, 1.02, digits=4),
    ),
    claim(
        "ND6. The step itself widens the prior",
        "The step theta <- (1 - eta lambda) theta + sqrt(2 eta lambda) xi has second moments 1/(1 "
        "- eta lambda/2), within 2 %. (Ours; all else here integrates the decay exactly.)",
        mean(
            "ratio",
            measured(SECOND, PAPER).times(lambda at: 1 - float(at["step"]) / 2),
            0.98,
            1.02,
            digits=4,
        ),
    ),
    claim(
        "ND7. With alpha, descents become those of kernels",
        "At every lambda, four times alpha, to its largest value, leaves less than half of the "
        "largest distance of the outputs from their prediction by the kernels of the start. (The "
        "prediction is ours.)",
        mean("factor", distance.ends("alpha", quarter), high=0.5),
    ),
    claim(
        "ND8. Noise turns the NTK into the NNGP",
        "After a time t >> 1/lambda, at a large alpha, the mean outputs are at most half as far "
        "from ridge regression with the NNGP as from that with the NTK, the ridge n lambda/(2 "
        "alpha^2). (Ours.)",
        mean(
            "distance from the NNGP's over that from the NTK's",
            measured(FROM_RIDGE, "NNGP").over(measured(FROM_RIDGE, "NTK")),
            high=0.5,
        ),
    ),
)

# What is drawn

losses = measured(LOSS).first().values(lambda loss: loss > 1e-7)  # smaller ones leave no room
by_alpha, by_lambda = ("alpha", "alpha {}"), ("lambda", "lambda {}")

FIGURES = (
    Figure(
        "losses",
        "Training loss of noisy gradient descent. |f - y|^2/n of mean-field networks along steps "
        "of size eta = c/alpha^2, of the first draw, as far as it is above 1e-7; bands: the "
        "prediction by kernels, to first order in 1/alpha.",
        x="step",
        y_name="training loss",
        lines=(
            Lines(losses.where(lambda c: c.thing == NETWORK), *by_alpha),
            Lines(losses.where(lambda c: c.thing == KERNELS), *by_alpha, theory=True),
        ),
        columns="lambda",
        title="lambda = {}",
        axis="log10",
        height=3.4,
    ),
    Figure(
        "scales",
        "What alpha and lambda leave of the kernels. Largest relative change of the NTK, mean "
        "square displacement of weights, largest distance of the outputs from the kernels' "
        "prediction, and mean square distance at the end from the outputs without noise.",
        x="alpha",
        y_name="value",
        lines={
            "change of the NTK": (Lines(drift, *by_lambda),),
            "displacement": (Lines(moved, *by_lambda),),
            "distance from prediction": (Lines(distance, *by_lambda),),
            "distance from no noise": (Lines(off, *by_lambda),),
        },
        height=3.4,
    ),
)

STUDY = experiment(
    __doc__,
    title="Noisy gradient descent of two-layer networks, after arXiv 2002.04026",
    parts=(noisy_descents, return_to_prior, equilibrium, constructions_on_d1),
    presets={
        "quick": """
repeats: 3
parts:
  - {part: descents, width: [1000], steps: 1000}
  - {part: prior, step: [0.3]}
  - {part: equilibrium, ridge: [0.3]}
  - {part: nc1}
""",
        "full": """
repeats: 6
parts:
  - {part: descents, alpha: [2, 4, 8, 16, 32]}
  - {part: prior}
  - {part: equilibrium}
  - {part: nc1}
""",
    },
    claims=CLAIMS,
    figures=FIGURES,
)
