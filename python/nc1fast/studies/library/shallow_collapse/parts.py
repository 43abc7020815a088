"""ReLU networks of two and three layers with weight decay, trained on Gaussian classes around
random means of length 1.

The objective is the mean of (f - t)^2 over samples and outputs plus decay |theta|^2/2, of networks
without biases drawn with He's variances. From the paper only its abstract was read: data, objective
and sizes are ours.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

import nc1fast as nc
from nc1fast.studies.experiment import Part
from nc1fast.studies.fields import Count, Positive, Variance
from nc1fast.studies.library import on_d1
from nc1fast.studies.measures import Measure
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.studies.measures import Setting

    Array = NDArray[np.float64]

TWO, THREE, DATA = "2 layers", "3 layers", "data"
NC1, ACCURACY, ERROR, LOSS = "nc1", "test accuracy", "test error", "loss"
NETS, ROWS, FIRST, NOISE = "nets", "rows", "first", "noise"  # what a part varies
CLASSES = 3

_TEST_ROWS = 200  # of each class
_D1_WIDTH, _D1_DESCENT = 64, (300, 5e-3)

Widths = tuple[Count, ...]


@dataclass(frozen=True)
class FullBatchAdam:
    """Full-batch Adam on the decayed loss.

    Attributes
    ----------
    steps : int
    rate : float
    decay : float
        Added to the gradient is decay theta.
    """

    steps: int
    rate: float
    decay: float


class ShallowNets(Part):
    """Networks of one draw of the data: two layers of each width of `two`, three layers of each
    first width of `three`.

    Rows of a class are N(mu, sigma^2/d I), with |mu| = 1: the SNR is 1/sigma^2. `rows` counts those
    of one class.
    """

    grid: ClassVar[tuple[str, ...]] = ("d", "sigma", "rows")
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    part: Literal["nets", "rows", "first", "noise"]
    d: Annotated[Widths, Field(min_length=1)]
    sigma: Annotated[tuple[Positive, ...], Field(min_length=1)]
    rows: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1)] = (20,)
    two: Widths = ()
    three: Widths = ()
    second: Count = 64
    steps: Count = 12_000
    rate: Positive = 1e-3
    decay: Variance = 2e-4

    @model_validator(mode="after")
    def _some(self) -> ShallowNets:
        if not self.two and not self.three:
            raise ValueError("give widths of two, three or both")
        return self

    def networks(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Each network as (thing, widths)."""
        for width in self.two:
            yield TWO, (width,)
        for width in self.three:
            yield THREE, (width, self.second)

    def seconds(self, setting: Setting) -> float:
        """Of the steps: calls of torch, activations, weights."""
        n, total = CLASSES * int(setting["rows"]), 0.0
        for _, widths in self.networks():
            fans = (int(setting["d"]), *widths, CLASSES)
            weights = sum(map(math.prod, itertools.pairwise(fans)))
            total += 1.4e-4 + 2.1e-4 * len(widths) + 8e-9 * n * sum(widths)
            total += (6e-9 + 1e-10 * n) * weights
        return 0.1 + self.steps * total

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """NC1 of the last hidden layer after training, the loss, and the error on other rows of the
        same classes.
        """
        X, y, Z, z = drawn(int(setting["d"]), float(setting["sigma"]), int(setting["rows"]), random)
        result = nc.collapse(X, y, convention="papyan")
        yield Measure(DATA, NC1, result.nc1, result.error_bound)
        descent = FullBatchAdam(self.steps, self.rate, self.decay)
        for thing, widths in self.networks():
            start = network(X.shape[1], widths, CLASSES, int(random.integers(1 << 32)))
            net, loss = trained(start, X, y, descent)
            result = collapse_of(net, X, y)
            f, at = outputs(net, Z), {"width": widths[0]}
            yield Measure(thing, NC1, result.nc1, result.error_bound, at)
            yield Measure(thing, LOSS, loss, at=at)
            yield Measure(thing, ACCURACY, float((f.argmax(axis=1) == z).mean()), at=at)
            yield Measure(thing, ERROR, float(np.square(f - np.eye(CLASSES)[z]).mean()), at=at)


def drawn(
    d: int, sigma: float, rows: int, random: np.random.Generator
) -> tuple[Array, NDArray[Any], Array, NDArray[Any]]:
    """Rows X with classes y, and other rows Z with classes z around the same means."""
    means = random.standard_normal((CLASSES, d))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    told, other = (int(seed) for seed in random.integers(1 << 32, size=2))
    std = sigma / math.sqrt(d)
    X, y = nc.datasets.gaussian_mixture(means, std, (rows,) * CLASSES, seed=told)
    Z, z = nc.datasets.gaussian_mixture(means, std, (_TEST_ROWS,) * CLASSES, seed=other)
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


def trained(start: Any, X: Array, y: NDArray[Any], descent: FullBatchAdam) -> tuple[Any, float]:
    """The network after training, and its loss without the decay.

    Raises
    ------
    ValueError
        If it diverged.
    """
    trace = nc.networks.train(
        start,
        X,
        y,
        targets="one-hot",
        optimizer="adam",
        lr=descent.rate,
        weight_decay=descent.decay,
        epochs=descent.steps,
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
    torch = require("torch", "torch")
    with torch.no_grad():
        return np.asarray(net(torch.from_numpy(Z)).numpy())


class ShallowOnD1(on_d1.OnD1):
    """Networks of two and three layers at the start and after a short training."""

    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    seconds_each: ClassVar[float] = 0.8

    def constructions(
        self, X: Array, y: NDArray[Any], random: np.random.Generator
    ) -> Iterator[tuple[str, Any]]:
        """The NNGP, and networks of width 64 in every layer."""
        yield "ReLU NNGP", nc.collapse(X, y, nc.NNGP("relu"), convention="papyan")
        steps, rate = _D1_DESCENT
        for thing, widths in ((TWO, (_D1_WIDTH,)), (THREE, (_D1_WIDTH, _D1_WIDTH))):
            start = network(X.shape[1], widths, 2, int(random.integers(1 << 32)))
            name = f"ReLU network, {thing} of width {_D1_WIDTH}"
            yield f"{name}, start", collapse_of(start, X, y)
            net, _ = trained(start, X, y, FullBatchAdam(steps, rate, 2e-4))
            yield f"{name}, end", collapse_of(net, X, y)
