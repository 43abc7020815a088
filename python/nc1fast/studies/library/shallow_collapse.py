"""shallow-collapse: When do networks of two and three layers collapse, and do they generalise then?

ReLU networks with weight decay, trained on Gaussian classes around random means of length 1. The
objective is the mean of (f - t)^2 over samples and outputs plus decay |theta|^2/2, of networks
without biases drawn with He's variances. From the paper only its abstract was read: data, objective
and sizes are ours.

Source: Hong and Ling (2024), arXiv 2409.01832.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import nc1fast as nc
from nc1fast.studies.experiment import grid, nc1_on_d1, part
from nc1fast.studies.fields import Count, Positive, Variance
from nc1fast.studies.figures import palette
from nc1fast.studies.figures.looks import Look
from nc1fast.studies.figures.measured import Figure, Lines
from nc1fast.studies.findings.measured import claim, geometric, mean
from nc1fast.studies.library.entry import experiment
from nc1fast.studies.measures import Measure, MeasuredCell
from nc1fast.studies.quantities import Quantity, measured, together

Array = NDArray[np.float64]
Widths = tuple[Count, ...]

TWO, THREE, DATA = "2 layers", "3 layers", "data"
NC1, ACCURACY, ERROR, LOSS = "nc1", "test accuracy", "test error", "loss"
CLASSES = 3


# What is measured


def drawn(
    d: int, sigma: float, rows: int, random: np.random.Generator
) -> tuple[Array, NDArray[Any], Array, NDArray[Any]]:
    """Rows X with classes y, and 200 other rows Z of each class, z, around the same means."""
    means = random.standard_normal((CLASSES, d))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    seeds, std = [int(seed) for seed in random.integers(1 << 32, size=2)], sigma / math.sqrt(d)
    X, y = nc.datasets.gaussian_mixture(means, std, (rows,) * CLASSES, seed=seeds[0])
    Z, z = nc.datasets.gaussian_mixture(means, std, (200,) * CLASSES, seed=seeds[1])
    return X, y, Z, z


def network(d: int, widths: tuple[int, ...], n_outputs: int, seed: int) -> Any:
    """A ReLU network without biases, drawn with He's variances."""
    return nc.networks.ShallowNetwork(
        "relu",
        d,
        depth=len(widths) + 1,
        width=widths,
        n_outputs=n_outputs,
        weight_variance=2.0,
        train_bias=False,
        seed=seed,
    )


def trained(
    start: Any, X: Array, y: NDArray[Any], *, steps: int, rate: float, decay: float
) -> tuple[Any, float]:
    """The network after full-batch Adam on the decayed loss, and its loss without the decay;
    ValueError if it diverged.
    """
    trace = nc.networks.train(
        start,
        X,
        y,
        targets="one-hot",
        optimizer="adam",
        lr=rate,
        weight_decay=decay,
        epochs=steps,
        probe=(),
        convention="papyan",
    )
    if trace.endings[0] != "epochs":
        raise ValueError(trace.endings[0])
    return trace.networks[0], float(trace.at(layer="output")["loss"][0])


def collapse_of(net: Any, X: Array, y: NDArray[Any]) -> Any:
    """The collapse of the last hidden layer."""
    last = net.layers[-2]
    return nc.networks.probe(net, X, y, [last], convention="papyan")[last]


def outputs(net: Any, Z: Array) -> Array:
    """Outputs (n, C) at rows."""
    import torch

    with torch.no_grad():
        return np.asarray(net(torch.from_numpy(Z)).numpy())


def some_widths(p: Any) -> None:
    """Refuse a part without a network."""
    if not p.two and not p.three:
        raise ValueError("give widths of two, three or both")


def seconds(p: Any) -> float:
    """Of the steps: calls of torch, activations, weights."""
    n, total = CLASSES * p.rows, 0.0
    for widths in [(width,) for width in p.two] + [(width, p.second) for width in p.three]:
        weights = sum(map(math.prod, itertools.pairwise((p.d, *widths, CLASSES))))
        total += 1.4e-4 + 2.1e-4 * len(widths) + 8e-9 * n * sum(widths)
        total += (6e-9 + 1e-10 * n) * weights
    return float(0.1 + p.steps * total)


@part("nets", "rows", "first", "noise", seconds=seconds, libraries=("torch",), check=some_widths)
def shallow_networks(
    random: np.random.Generator,
    *,
    d: Count = grid(),
    sigma: Positive = grid(),
    rows: Annotated[int, Field(ge=2)] = grid(20),
    two: Widths = (),
    three: Widths = (),
    second: Count = 64,
    steps: Count = 12_000,
    rate: Positive = 1e-3,
    decay: Variance = 2e-4,
) -> Iterator[Measure]:
    """Networks of one draw of the data: two layers of each width of `two`, three layers of each
    first width of `three`. NC1 of the last hidden layer after training, the loss, and the error on
    other rows of the same classes.

    Rows of a class are N(mu, sigma^2/d I), with |mu| = 1: the SNR is 1/sigma^2. `rows` counts those
    of one class.
    """
    X, y, Z, z = drawn(d, sigma, rows, random)
    result = nc.collapse(X, y, convention="papyan")
    yield Measure(DATA, NC1, result.nc1, result.error_bound)
    networks = [(TWO, (width,)) for width in two] + [(THREE, (width, second)) for width in three]
    for thing, widths in networks:
        start = network(d, widths, CLASSES, int(random.integers(1 << 32)))
        net, loss = trained(start, X, y, steps=steps, rate=rate, decay=decay)
        result = collapse_of(net, X, y)
        f, at = outputs(net, Z), {"width": widths[0]}
        yield Measure(thing, NC1, result.nc1, result.error_bound, at)
        yield Measure(thing, LOSS, loss, at=at)
        yield Measure(thing, ACCURACY, float((f.argmax(axis=1) == z).mean()), at=at)
        yield Measure(thing, ERROR, float(np.square(f - np.eye(CLASSES)[z]).mean()), at=at)


@nc1_on_d1(seconds=0.8, libraries=("torch",))
def constructions_on_d1(
    X: Array, y: NDArray[Any], random: np.random.Generator
) -> Iterator[tuple[str, Any]]:
    """The NNGP, and networks of two and three layers of width 64 at the start and after a short
    training.
    """
    yield "ReLU NNGP", nc.collapse(X, y, nc.NNGP("relu"), convention="papyan")
    for thing, widths in ((TWO, (64,)), (THREE, (64, 64))):
        start = network(X.shape[1], widths, 2, int(random.integers(1 << 32)))
        name = f"ReLU network, {thing} of width 64"
        yield f"{name}, start", collapse_of(start, X, y)
        net, _ = trained(start, X, y, steps=300, rate=5e-3, decay=2e-4)
        yield f"{name}, end", collapse_of(net, X, y)


# What is claimed


def is_wide(cell: MeasuredCell) -> bool:
    """Whether there are as many features as samples."""
    return float(cell.setting["d"]) >= CLASSES * float(cell.setting["rows"])


def is_narrow(cell: MeasuredCell) -> bool:
    """Whether there are at least four samples for each feature."""
    return 4 * float(cell.setting["d"]) <= CLASSES * float(cell.setting["rows"])


def nc1_of(thing: str, part: str) -> Quantity:
    """NC1 where it has a logarithm."""
    return measured(NC1, thing, part=part).values(lambda nc1: nc1 > 0)


def errors_under_collapse(thing: str) -> Quantity:
    """Test errors in dimensions where NC1 < .01 at every sigma."""

    def kept(cells: Sequence[MeasuredCell]) -> list[MeasuredCell]:
        middles = [(c.setting["d"], c.geometric_mean().middle) for c in two_or_three[thing](cells)]
        large = {d for d, middle in middles if not middle < 0.01}
        return [
            c for c in measured(ERROR, thing, part="nets")(cells) if c.setting["d"] not in large
        ]

    return Quantity(kept)


two, three = nc1_of(TWO, "nets"), nc1_of(THREE, "nets")
two_or_three = {TWO: two, THREE: three}
open_two = two.where(lambda cell: cell.geometric_mean().middle > 0.3)
first, noise = nc1_of(THREE, "first"), nc1_of(THREE, "noise")

CLAIMS = (
    claim(
        "SC1. Two layers collapse or not by dimension, sample size and SNR",
        "Networks of two layers collapse (NC1 < .01) with d >= N features of N rows, at every "
        "sigma; with d <= N/4 and sigma >= 1 they do not (NC1 > .3). (The thresholds are ours.)",
        geometric("NC1 with d >= N", two.where(is_wide), high=0.01, digits=2),
        geometric(
            "NC1 with d <= N/4",
            two.where(is_narrow).at(sigma=lambda sigma: sigma >= 1),
            low=0.3,
            digits=2,
        ),
    ),
    claim(
        "SC2. More rows and more noise stand against collapse",
        "At a fixed d, NC1 of two layers rises with the number of rows, and below d = N with "
        "sigma.",
        geometric(
            "NC1 over that of the next smaller number of rows",
            nc1_of(TWO, "rows").steps("rows"),
            low=1.0,
        ),
        geometric(
            "NC1 over that of the next smaller sigma",
            two.where(lambda cell: not is_wide(cell)).steps("sigma"),
            low=1.0,
        ),
    ),
    claim(
        "SC3. Width does not decide whether two layers collapse",
        "Where networks of two layers do not collapse (NC1 > .3), |log NC1(width 256)/NC1(width "
        "64)| < .3.",
        geometric(
            "NC1 of the wider over that of the narrower",
            open_two.steps("width"),
            math.exp(-0.3),
            math.exp(0.3),
        ),
    ),
    claim(
        "SC4. Three layers collapse where two do not",
        "Networks of three layers, the first wide, collapse: NC1 < .01 with d >= N, < .05 below at "
        "sigma <= 1, and less than a tenth of that of two layers of the same first width where "
        "these do not collapse.",
        geometric("NC1 with d >= N", three.where(is_wide), high=0.01, digits=2),
        geometric(
            "NC1 below at sigma <= 1",
            three.where(lambda cell: not is_wide(cell)).at(sigma=lambda sigma: sigma <= 1),
            high=0.05,
            digits=2,
        ),
        geometric("NC1 over that of two layers", three.over(open_two), high=0.1, digits=2),
    ),
    claim(
        "SC5. Three layers need a wide first one",
        "NC1 of three layers falls with the width of the first, to below .05 at the largest.",
        geometric("NC1 over that of the next narrower first layer", first.steps("width"), high=1.0),
        geometric("NC1 of the widest", first.last("width"), high=0.05, digits=2),
    ),
    claim(
        "SC6. Generalization follows the SNR under collapse",
        "In dimensions where NC1 < .01 at every sigma, the test error rises with sigma all the "
        "same.",
        geometric(
            "test error over that of the next smaller sigma",
            together(errors_under_collapse(TWO), errors_under_collapse(THREE)).steps("sigma"),
            low=1.0,
        ),
    ),
    claim(
        "SC7. Collapse with bad generalization",
        "At a low SNR (sigma = 8) networks of three layers collapse (NC1 < .01), and their test "
        "accuracy is below .7 (chance: .33).",
        geometric("NC1", noise, high=0.01, digits=2),
        mean("test accuracy", measured(ACCURACY, THREE, part="noise"), high=0.7),
    ),
)

# What is drawn


def against_noise(name: str, caption: str, quantity: str, y_name: str) -> Figure:
    """The data, if they have the quantity, and a curve for each thing and width; a panel for each
    d.
    """
    return Figure(
        name,
        caption,
        x="sigma",
        x_name="sigma: the SNR is 1/sigma²",
        y_name=y_name,
        lines=(
            Lines(measured(quantity, DATA, part="nets"), look=Look(DATA, palette.DATA, "*", ":")),
            *(
                Lines(
                    measured(quantity, thing, part="nets"),
                    "width",
                    thing + ", width {}",
                    look=Look(thing, colour, marker),
                )
                for thing, colour, marker in (
                    (TWO, palette.NETWORK, "o"),
                    (THREE, palette.ADAPTIVE, "s"),
                )
            ),
        ),
        columns="d",
        title="d = {}",
        height=3.4,
    )


FIGURES = (
    against_noise(
        "collapse",
        "Collapse of two and three layers by dimension and noise. NC1 of the data, and of the last "
        "hidden layer after training with weight decay; the width is that of the first layer.",
        NC1,
        "NC1",
    ),
    against_noise(
        "error",
        "Test error of two and three layers by dimension and noise. Mean squared error of the same "
        "networks on other rows of the same classes.",
        ERROR,
        ERROR,
    ),
)

STUDY = experiment(
    __doc__,
    title="Collapse of shallow ReLU networks with general data, after arXiv 2409.01832",
    parts=(shallow_networks, constructions_on_d1),
    presets={
        "quick": """
repeats: 2
parts:
  - {part: nets, d: [10, 120], sigma: [1, 3], two: [64, 256], three: [256], steps: 2000, rate: 0.01}
  - {part: rows, d: [30], sigma: [1], rows: [5, 20], two: [64], steps: 2000, rate: 0.01}
  - {part: first, d: [10], sigma: [1], three: [4, 256], steps: 2000, rate: 0.01}
  - {part: noise, d: [120], sigma: [8], three: [256], steps: 2000, rate: 0.01, repeats: 1}
  - {part: nc1}
""",
        "full": """
repeats: 6
parts:
  - {part: nets, d: [10, 120], sigma: [0.2, 1, 3], two: [64, 256], three: [256]}
  - {part: rows, d: [30], sigma: [1], rows: [5, 20, 80], two: [64], steps: 3000, rate: 0.005}
  - {part: first, d: [10], sigma: [1], three: [4, 16, 256], steps: 4000, rate: 0.005}
  - {part: noise, d: [120], sigma: [8], three: [256], steps: 4000, rate: 0.005}
  - {part: nc1}
""",
    },
    claims=CLAIMS,
    figures=FIGURES,
)
