"""finite-infinite: Where do finite networks do as infinite ones, and what breaks the
correspondence?

Shallow ReLU networks beside their NTK at time t; early stopping beside ridge; NC1 of collapsed
classes in single precision. A "centred" network is the difference of twins that start equal, so
that f = 0 at the start (`nc1fast.networks.twins`).

Source: Lee et al. (2020), arXiv 2007.15801.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import nc1fast as nc
from nc1fast.networks.twins import FullBatch, ReLUTwins
from nc1fast.studies.experiment import grid, nc1_on_d1, part
from nc1fast.studies.fields import Count, Positive, Variance
from nc1fast.studies.figures import palette
from nc1fast.studies.figures.looks import Look
from nc1fast.studies.figures.measured import Figure, Lines
from nc1fast.studies.findings.measured import claim, exact, mean
from nc1fast.studies.library.entry import experiment
from nc1fast.studies.measures import Measure, Setting
from nc1fast.studies.quantities import measured, together

Array = NDArray[np.float64]

CENTRED, PLAIN = "centred network", "network"
CENTRED_4, PLAIN_4 = "ensemble of centred networks", "ensemble of networks"
SMALL, DECAY, LARGE = "gradient descent", "with weight decay", "with a large learning rate"
DEVIATION = "relative distance from the infinite network"
RIDGE, STOPPED, BOTH = "ridge", "early stopping", "early stopping and ridge"
ERROR, LEAST, DISTANCE = "test error", "least test error", "relative distance of predictions"
STREAMED, STORED = "streamed, float32", "stored, float32"
OFF, NC1, OVER_BOUND = "relative error of NC1", "exact NC1", "error of NC1 over its bound"
RATE = 0.5  # of n/lambda_max; descent is stable below 2


# What is measured


class SineTask(NamedTuple):
    """Rows X on the sphere |x|^2 = d0 with targets y = sin <w, x>, and 64 rows Z to predict."""

    X: Array
    y: Array
    Z: Array

    @classmethod
    def drawn(cls, n: int, d0: int, random: np.random.Generator) -> SineTask:
        """A task of n rows to fit."""
        rows = random.standard_normal((n + 64, d0))
        rows *= math.sqrt(d0) / np.linalg.norm(rows, axis=1, keepdims=True)
        w = random.standard_normal(d0)
        return cls(rows[:n], np.sin(rows[:n] @ w), rows[n:])

    def descent(self, steps: int) -> FullBatch:
        """Steps of the rate `RATE`."""
        top = float(np.linalg.eigvalsh(nc.NTK("relu")(self.X))[-1])
        return FullBatch(RATE * len(self.y) / top, steps)

    def infinite(self, time: float) -> Array:
        """The infinitely wide network at time t, from f = 0."""
        return nc.prediction.gradient_flow(nc.NTK("relu"), self.X, self.y, self.Z, time=time).mean

    def outputs(self, networks: list[ReLUTwins], descent: FullBatch) -> Array:
        """Outputs of networks after their training, (n_networks, 64)."""
        return np.stack([net.train(self.X, self.y, descent)(self.Z) for net in networks])


def deviation(outputs: Array, infinite: Array) -> float:
    """|f - f_inf|/|f_inf|, the mean over networks (k, n) if there are several."""
    lengths = np.linalg.norm(np.atleast_2d(outputs - infinite), axis=1)
    return float(lengths.mean() / np.linalg.norm(infinite))


def step_seconds(p: Any) -> float:
    """Of one step of one network."""
    return float(p.n_samples * p.width * (6e-9 + 2e-10 * p.d0))


SCIPY = ("scipy.linalg",)


@part(
    "widths", seconds=lambda p: 0.02 + 3 * p.ensemble * p.steps * step_seconds(p), libraries=SCIPY
)
def widths(
    random: np.random.Generator,
    *,
    d0: Count = grid(10),
    width: Count = grid(),
    n_samples: Count = 20,
    steps: Count = 400,
    ensemble: Annotated[int, Field(ge=2)] = 4,
) -> Iterator[Measure]:
    """Networks of one width, centred and not, beside the infinite one: the mean distance of single
    ones, and that of their mean.
    """
    task = SineTask.drawn(n_samples, d0, random)
    descent = task.descent(steps)
    infinite = task.infinite(descent.rate * descent.steps)
    for centred, single, ensembles in ((True, CENTRED, CENTRED_4), (False, PLAIN, PLAIN_4)):
        networks = [ReLUTwins(width, d0, random, centred=centred) for _ in range(ensemble)]
        outputs = task.outputs(networks, descent)
        yield Measure(single, DEVIATION, deviation(outputs, infinite))
        yield Measure(ensembles, DEVIATION, deviation(outputs.mean(axis=0), infinite))


def broken_seconds(p: Any) -> float:
    """Of twins: two of as many steps, and one of fewer."""
    return float(0.02 + 2 * p.networks * (2 + RATE / p.rate) * p.steps * step_seconds(p))


@part("broken", seconds=broken_seconds, libraries=SCIPY)
def broken(
    random: np.random.Generator,
    *,
    d0: Count = grid(10),
    width: Count = grid(),
    n_samples: Count = 20,
    steps: Count = 400,
    networks: Count = 4,
    decay: Variance = 1.0,
    rate: Positive = 3.0,
) -> Iterator[Measure]:
    """Centred networks trained otherwise, to the same time: with weight decay, which without
    gradients would shrink weights by exp(-decay), and with a learning rate of `rate` n/lambda_max,
    above the stable one.
    """
    task = SineTask.drawn(n_samples, d0, random)
    small = task.descent(steps)
    time = small.rate * small.steps
    infinite, fewer = task.infinite(time), max(1, round(steps * RATE / rate))
    ways = {
        SMALL: small,
        DECAY: FullBatch(small.rate, small.steps, decay / time),
        LARGE: FullBatch(time / fewer, fewer),
    }
    for thing, descent in ways.items():
        drawn = [ReLUTwins(width, d0, random, centred=True) for _ in range(networks)]
        yield Measure(thing, DEVIATION, deviation(task.outputs(drawn, descent), infinite))


@part(
    "stopping",
    seconds=lambda p: 0.02 + len(p.ridges) * (4e-3 + 1e-8 * p.n_samples**3),
    libraries=SCIPY,
)
def early_stopping(
    random: np.random.Generator,
    *,
    task: Literal["linear", "ReLU teacher", "classes"] = grid("linear", "ReLU teacher", "classes"),
    d0: Count = grid(8),
    n_samples: Count = 128,
    noise: Variance = 0.5,
    ridges: Annotated[tuple[Positive, ...], Field(min_length=2)] = tuple(
        float(f"{m}e{k}") for k in range(-4, 2) for m in (1, 3)
    ),
) -> Iterator[Measure]:
    """Test errors of ridge regression beside gradient flow that stops at t = n/ridge, for NTK and
    NNGP, on targets of variance 1 with noise of this standard deviation; ridges are relative to the
    mean diagonal of the kernel.
    """
    rows, n = random.standard_normal((2 * n_samples, d0)), n_samples
    target = teacher(task, rows, random)
    X, Z, y = rows[:n], rows[n:], target[:n] + noise * random.standard_normal(n)
    for kernel in (nc.NTK("relu"), nc.NNGP("relu")):
        diagonal, least = float(kernel(X).diagonal().mean()), {RIDGE: math.inf, STOPPED: math.inf}
        for share in ridges:
            ridge = share * diagonal
            at: Setting = {"kernel": kernel.name, "ridge": share}
            if kernel.name == "NNGP":
                f = nc.prediction.gp_posterior(kernel, X, y, Z, noise=ridge, variance=False).mean
            else:
                f = nc.prediction.ridge(kernel, X, y, Z, ridge=ridge).mean
            stopped = nc.prediction.gradient_flow(kernel, X, y, Z, time=n / ridge).mean
            apart = np.linalg.norm(stopped - f) / np.linalg.norm(f)
            yield Measure(BOTH, DISTANCE, float(apart), at=at)
            for thing, found in ((RIDGE, f), (STOPPED, stopped)):
                error = float(np.square(found - target[n:]).mean())
                least[thing] = min(least[thing], error)
                yield Measure(thing, ERROR, error, at=at)
        for thing, error in least.items():
            yield Measure(thing, LEAST, error, at={"kernel": kernel.name})


def teacher(task: str, X: Array, random: np.random.Generator) -> Array:
    """Targets without noise, of mean 0 and variance 1: of a linear teacher, of four ReLU units, or
    the sign of a linear one ("classes").
    """
    w = random.standard_normal((4, X.shape[1]))
    u = X @ (w / np.linalg.norm(w, axis=1, keepdims=True)).T
    if task == "ReLU teacher":
        values = np.maximum(u, 0.0).sum(axis=1)
    else:
        values = np.sign(u[:, 0]) if task == "classes" else u[:, 0]
    return np.asarray((values - values.mean()) / values.std())


@part("precision", seconds=lambda p: 0.02 + 3e-7 * p.n_samples**2)
def precision(
    random: np.random.Generator,
    *,
    d0: Count = grid(8),
    s: Positive = grid(0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6),
    n_samples: Annotated[int, Field(ge=4, multiple_of=2)] = 128,
) -> Iterator[Measure]:
    """NC1 of classes N(+-2 1, s^2 I) in single precision, streamed and from a Gram matrix that is
    stored, against double precision; and the bound of the streamed pass.
    """
    half, seed = n_samples // 2, int(random.integers(1 << 32))
    X, y = nc.datasets.gaussian_mixture((-2, 2), s, (half, half), d0, seed)
    for kernel in (nc.NTK("relu"), nc.NNGP("relu")):
        at, exact = {"kernel": kernel.name}, nc.collapse(X, y, kernel, convention="papyan")
        K = kernel(X).astype(np.float32).astype(np.float64)
        streamed = nc.collapse(X, y, kernel, convention="papyan", dtype="float32")
        stored = nc.collapse(K, y, "precomputed", convention="papyan")
        yield Measure(kernel.name, NC1, exact.nc1, exact.error_bound)
        for thing, result in ((STREAMED, streamed), (STORED, stored)):
            yield Measure(thing, OFF, abs(result.nc1 / exact.nc1 - 1), at=at)
        over = abs(streamed.nc1 - exact.nc1) / (streamed.error_bound + exact.error_bound)
        yield Measure(STREAMED, OVER_BOUND, over, at=at)


@nc1_on_d1(seconds=0.6)
def constructions_on_d1(
    X: Array, y: NDArray[Any], random: np.random.Generator
) -> Iterator[tuple[str, Any]]:
    """The two limits, and the hidden features of a network of width 256 before and after 100
    steps.
    """
    for kernel in (nc.NNGP("relu"), nc.NTK("relu")):
        yield f"ReLU {kernel.name}", nc.collapse(X, y, kernel, convention="papyan")
    network, name = ReLUTwins(256, X.shape[1], random, centred=True), "ReLU network of width 256"
    first = network.branches[0]
    yield f"{name}, start", nc.collapse(first.hidden(X), y, convention="papyan")
    top = float(np.linalg.eigvalsh(nc.NTK("relu")(X))[-1])
    network.train(X, np.where(y == y.max(), 1.0, -1.0), FullBatch(RATE * len(y) / top, 100))
    yield f"{name}, end", nc.collapse(first.hidden(X), y, convention="papyan")


# What is claimed

away = {thing: measured(DEVIATION, thing) for thing in (CENTRED, CENTRED_4, PLAIN, PLAIN_4)}
small = measured(DEVIATION, SMALL)
over_small = {t: measured(DEVIATION, t).last("width").over(small) for t in (DECAY, LARGE)}
least = {thing: measured(LEAST, thing) for thing in (RIDGE, STOPPED)}
stored_if_collapsed = [
    measured(OFF, STORED).draws_where(measured(NC1, k).placed(kernel=k), lambda nc1: nc1 < 1e-10)
    for k in ("NTK", "NNGP")
]

CLAIMS = (
    claim(
        "FI1. Wide networks do as their NTK",
        "The distance of a centred network from the infinite one falls as width^(-1/2 +- .15).",
        mean("exponent", away[CENTRED].power("width"), -0.65, -0.35),
    ),
    claim(
        "FI2. Ensembles are nearer to the infinite network",
        "At every width the mean of an ensemble is nearer to the infinite one than its members.",
        mean("centred, over that of its members", away[CENTRED_4].over(away[CENTRED]), high=1.0),
        mean("not centred", away[PLAIN_4].over(away[PLAIN]), high=1.0),
    ),
    claim(
        "FI3. Centring brings networks nearer",
        "At every width a centred network is nearer to the infinite one than one that is not.",
        mean("distance over that of others", away[CENTRED].over(away[PLAIN]), high=1.0),
    ),
    claim(
        "FI4. Weight decay and large learning rates break the correspondence",
        "With weight decay, and with a learning rate above 2/lambda_max, the widest networks are "
        "at least twice as far from the infinite one as those of small steps.",
        mean("distance over that of small steps, decay", over_small[DECAY], low=2.0),
        mean("a large rate", over_small[LARGE], low=2.0),
    ),
    claim(
        "FI5. Diagonal regularization acts as early stopping does",
        "The least test error along early stopping is within 5 % of the least along ridges.",
        mean("ratio", least[STOPPED].over(least[RIDGE]), 1 / 1.05, 1.05, digits=4),
    ),
    claim(
        "FI6. The NNGP outperforms the NTK",
        "The least test error of the NNGP is below that of the NTK.",
        mean(
            "ratio of the least test errors",
            least[RIDGE].at(kernel="NNGP").over(least[RIDGE].at(kernel="NTK"), "kernel"),
            high=1.0,
        ),
    ),
    claim(
        "FI7. Floating point precision limits a stored kernel",
        "A Gram matrix that is stored in single precision loses all digits of NC1 where NC1 is "
        "below 1e-10. (The paper: beyond a critical number of samples; here: of collapsed "
        "classes.)",
        exact("relative error", together(*stored_if_collapsed), low=1.0),
    ),
    claim(
        "FI8. Streamed in single precision, NC1 keeps its digits",
        "Streamed in single precision, NC1 of collapsed classes is within its error bound.",
        exact("error over its bound", measured(OVER_BOUND), high=1.0),
    ),
)

# What is drawn


def against_width(name: str, caption: str, looks: dict[str, Look]) -> Figure:
    """A curve for each thing, a panel for each d0."""
    return Figure(
        name,
        caption,
        x="width",
        y_name="relative distance",
        lines=[Lines(measured(DEVIATION, thing), look=look) for thing, look in looks.items()],
        columns="d0",
        title="d₀ = {}",
    )


FIGURES = (
    against_width(
        "widths",
        "Distance of trained networks from the infinite one. |f - f_inf|/|f_inf| on other rows, "
        "f_inf the prediction of the NTK at the same time: the mean of single networks, and that "
        "of ensembles.",
        {
            PLAIN: Look(PLAIN, palette.NETWORK, "D", "--", is_open=True),
            PLAIN_4: Look(PLAIN_4, palette.OWN_NTK, "s", "--", is_open=True),
            CENTRED: Look(CENTRED, palette.NETWORK, "D"),
            CENTRED_4: Look(CENTRED_4, palette.OWN_NTK, "s"),
        },
    ),
    against_width(
        "ways",
        "Distance of centred networks trained in other ways. Relative to f_inf, as above; with "
        "weight decay, and with a learning rate above 2/lambda_max.",
        {
            SMALL: Look(SMALL, palette.NETWORK, "D"),
            DECAY: Look(DECAY, palette.ADAPTIVE, "^", "--"),
            LARGE: Look(LARGE, palette.MEAN_FIELD, "v", ":"),
        },
    ),
    Figure(
        "stopping",
        "Ridge regression beside early stopping at t = n/ridge. Mean squared error on other rows; "
        "ridges in units of the mean diagonal of the kernel.",
        x="ridge",
        y_name=ERROR,
        lines=[
            Lines(
                measured(ERROR, thing, kernel=kernel),
                look=Look(f"{thing}, {kernel}", colour, marker, line, is_open=line == "--"),
            )
            for kernel, colour, marker in (("NTK", palette.NTK, "s"), ("NNGP", palette.NNGP, "o"))
            for thing, line in ((RIDGE, "-"), (STOPPED, "--"))
        ],
        columns="task",
        rows="d0",
        row_title=", d₀ = {}",
        axis="log10",
    ),
)

STUDY = experiment(
    __doc__,
    title="Finite versus infinite networks, after arXiv 2007.15801",
    parts=(widths, broken, early_stopping, precision, constructions_on_d1),
    presets={
        "quick": """
repeats: 3
parts:
  - {part: widths, width: [64, 256, 1024]}
  - {part: broken, width: [256, 1024]}
  - {part: stopping}
  - {part: precision}
  - {part: nc1}
""",
        "full": """
repeats: 10
parts:
  - {part: widths, d0: [5, 10], width: [64, 256, 1024, 4096, 16384], repeats: 8}
  - {part: broken, width: [256, 1024, 4096], repeats: 8}
  - {part: stopping, d0: [2, 8, 32]}
  - {part: precision, d0: [1, 8, 128]}
  - {part: nc1}
""",
    },
    claims=CLAIMS,
    figures=FIGURES,
)
