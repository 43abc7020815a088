"""Shallow ReLU networks beside their NTK at time t; early stopping beside ridge; NC1 of collapsed
classes in single precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

import nc1fast as nc
from nc1fast.studies.experiment import Part
from nc1fast.studies.fields import Count, Positive, Variance
from nc1fast.studies.library import on_d1
from nc1fast.studies.library.finite_infinite.nets import FullBatch, Network
from nc1fast.studies.measures import Measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.studies.measures import Setting

    Array = NDArray[np.float64]

CENTRED, PLAIN = "centred network", "network"
CENTRED_4, PLAIN_4 = "ensemble of centred networks", "ensemble of networks"
SMALL, DECAY, LARGE = "gradient descent", "with weight decay", "with a large learning rate"
DEVIATION = "relative distance from the infinite network"

RIDGE, STOPPED, BOTH = "ridge", "early stopping", "early stopping and ridge"
ERROR, LEAST = "test error", "least test error"
DISTANCE = "relative distance of predictions"
STREAMED, STORED = "streamed, float32", "stored, float32"
OFF, NC1, OVER_BOUND = "relative error of NC1", "exact NC1", "error of NC1 over its bound"

_RATE = 0.5  # of n/lambda_max; descent is stable below 2
_D1_WIDTH, _D1_STEPS = 256, 100

Several = Annotated[tuple[Count, ...], Field(min_length=1)]


@dataclass(frozen=True)
class _Task:
    """Rows on a sphere, |x|^2 = d0, with targets sin <w, x>, and rows to predict."""

    X: Array
    y: Array
    Z: Array

    @classmethod
    def drawn(cls, n: int, d0: int, random: np.random.Generator) -> _Task:
        """N rows to fit, 64 to predict."""
        rows = random.standard_normal((n + 64, d0))
        rows *= math.sqrt(d0) / np.linalg.norm(rows, axis=1, keepdims=True)
        w = random.standard_normal(d0)
        return cls(rows[:n], np.sin(rows[:n] @ w), rows[n:])

    def descent(self, steps: int, share: float = _RATE) -> FullBatch:
        """Steps of a rate `share` n/lambda_max of the NTK."""
        top = float(np.linalg.eigvalsh(nc.NTK("relu")(self.X))[-1])
        return FullBatch(share * len(self.y) / top, steps)

    def infinite(self, time: float) -> Array:
        """The infinitely wide network at time t, from f = 0."""
        return nc.prediction.gradient_flow(nc.NTK("relu"), self.X, self.y, self.Z, time=time).mean

    def outputs(
        self, how: tuple[int, bool, int], descent: FullBatch, random: np.random.Generator
    ) -> Array:
        """Outputs at the other rows of trained networks, (n_networks, 64); how: width, whether
        centred, and how many.
        """
        width, centred, n_networks = how
        d0 = self.X.shape[1]
        networks = (Network(width, d0, random, centred=centred) for _ in range(n_networks))
        return np.stack([net.train(self.X, self.y, descent)(self.Z) for net in networks])


def _away(outputs: Array, infinite: Array) -> float:
    """|f - f_inf|/|f_inf|, the mean over networks (k, n) if there are several."""
    lengths = np.linalg.norm(np.atleast_2d(outputs - infinite), axis=1)
    return float(lengths.mean() / np.linalg.norm(infinite))


class Widths(Part):
    """Networks of one width, single and as ensembles, centred (f = 0 at the start) and not, beside
    the infinite one.
    """

    grid: ClassVar[tuple[str, ...]] = ("d0", "width")
    libraries: ClassVar[tuple[str, ...]] = ("scipy.linalg",)

    part: Literal["widths"]
    d0: Several = (10,)
    width: Several
    n_samples: Count = 20
    steps: Count = 400
    ensemble: Annotated[int, Field(ge=2)] = 4

    def seconds(self, setting: Setting) -> float:
        """Of twelve descents for an ensemble of four: twins count twice."""
        numbers = self.n_samples * int(setting["width"]) * self.steps
        return 0.02 + numbers * self.ensemble * 3 * (6e-9 + 2e-10 * int(setting["d0"]))

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Distances from the infinite network: the mean over single ones, and that of their mean."""
        task = _Task.drawn(self.n_samples, int(setting["d0"]), random)
        descent = task.descent(self.steps)
        infinite = task.infinite(descent.rate * descent.steps)
        for centred, single, together in ((True, CENTRED, CENTRED_4), (False, PLAIN, PLAIN_4)):
            how = (int(setting["width"]), centred, self.ensemble)
            outputs = task.outputs(how, descent, random)
            yield Measure(single, DEVIATION, _away(outputs, infinite))
            yield Measure(together, DEVIATION, _away(outputs.mean(axis=0), infinite))


class Broken(Part):
    """Centred networks trained otherwise: with weight decay, and with a learning rate above the
    stable one.

    Without gradients the decay would shrink weights by exp(-`decay`); `rate` is in units of
    n/lambda_max, and descent on a quadratic loss is stable up to 2.
    """

    grid: ClassVar[tuple[str, ...]] = ("d0", "width")
    libraries: ClassVar[tuple[str, ...]] = ("scipy.linalg",)

    part: Literal["broken"]
    d0: Several = (10,)
    width: Several
    n_samples: Count = 20
    steps: Count = 400
    networks: Count = 4
    decay: Variance = 1.0
    rate: Positive = 3.0

    def seconds(self, setting: Setting) -> float:
        """Of twins: two of as many steps, and one of fewer."""
        numbers = self.n_samples * int(setting["width"]) * self.steps
        runs = 2 * self.networks * (2 + _RATE / self.rate)
        return 0.02 + numbers * runs * (6e-9 + 2e-10 * int(setting["d0"]))

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Distances from the infinite network at the same time."""
        task = _Task.drawn(self.n_samples, int(setting["d0"]), random)
        small = task.descent(self.steps)
        time = small.rate * small.steps
        infinite = task.infinite(time)
        fewer = max(1, round(self.steps * _RATE / self.rate))
        ways = {
            SMALL: small,
            DECAY: FullBatch(small.rate, small.steps, self.decay / time),
            LARGE: FullBatch(time / fewer, fewer),
        }
        for thing, descent in ways.items():
            outputs = task.outputs((int(setting["width"]), True, self.networks), descent, random)
            yield Measure(thing, DEVIATION, _away(outputs, infinite))


class EarlyStopping(Part):
    """Ridge regression beside gradient flow that stops at t = n/ridge, for NTK and NNGP, on noisy
    targets.

    Targets have variance 1 and noise of standard deviation `noise`: a linear teacher, a teacher of
    four ReLU units, or the sign of a linear one ("classes"). Ridges are relative to the mean
    diagonal of the kernel.
    """

    grid: ClassVar[tuple[str, ...]] = ("task", "d0")
    libraries: ClassVar[tuple[str, ...]] = ("scipy.linalg",)

    part: Literal["stopping"]
    task: Annotated[
        tuple[Literal["linear", "ReLU teacher", "classes"], ...], Field(min_length=1)
    ] = ("linear", "ReLU teacher", "classes")
    d0: Several = (8,)
    n_samples: Count = 128
    noise: Variance = 0.5
    ridges: Annotated[tuple[Positive, ...], Field(min_length=2)] = tuple(
        float(f"{m}e{k}") for k in range(-4, 2) for m in (1, 3)
    )

    def seconds(self, setting: Setting) -> float:
        """Of a factor and an eigendecomposition for each ridge and kernel."""
        del setting
        return 0.02 + len(self.ridges) * (4e-3 + 1e-8 * self.n_samples**3)

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Test errors along the ridges, the least of each, and how far the predictions are apart."""
        n, d0 = self.n_samples, int(setting["d0"])
        rows = random.standard_normal((2 * n, d0))
        target = _teacher(str(setting["task"]), rows, random)
        X, Z = rows[:n], rows[n:]
        y = target[:n] + self.noise * random.standard_normal(n)
        for kernel in (nc.NTK("relu"), nc.NNGP("relu")):
            diagonal = float(kernel(X).diagonal().mean())
            least = dict.fromkeys((RIDGE, STOPPED), math.inf)
            for share in self.ridges:
                ridge = share * diagonal
                at: Setting = {"kernel": kernel.name, "ridge": share}
                found = {
                    RIDGE: _ridge(kernel, (X, y, Z), ridge),
                    STOPPED: nc.prediction.gradient_flow(kernel, X, y, Z, time=n / ridge).mean,
                }
                apart = np.linalg.norm(found[STOPPED] - found[RIDGE]) / np.linalg.norm(found[RIDGE])
                yield Measure(BOTH, DISTANCE, float(apart), at=at)
                for thing, f in found.items():
                    error = float(np.square(f - target[n:]).mean())
                    least[thing] = min(least[thing], error)
                    yield Measure(thing, ERROR, error, at=at)
            for thing, error in least.items():
                yield Measure(thing, LEAST, error, at={"kernel": kernel.name})


def _ridge(kernel: Any, data: tuple[Array, Array, Array], ridge: float) -> Array:
    """Ridge regression; of an NNGP the posterior mean, with that much noise."""
    X, y, Z = data
    if kernel.name == "NNGP":
        return nc.prediction.gp_posterior(kernel, X, y, Z, noise=ridge, variance=False).mean
    return nc.prediction.ridge(kernel, X, y, Z, ridge=ridge).mean


def _teacher(task: str, X: Array, random: np.random.Generator) -> Array:
    """Targets of the rows without noise, of mean 0 and variance 1."""
    w = random.standard_normal((4, X.shape[1]))
    u = X @ (w / np.linalg.norm(w, axis=1, keepdims=True)).T
    if task == "ReLU teacher":
        values = np.maximum(u, 0.0).sum(axis=1)
    else:
        values = np.sign(u[:, 0]) if task == "classes" else u[:, 0]
    return np.asarray((values - values.mean()) / values.std())


class Precision(Part):
    """NC1 of classes N(+-2 1, s^2 I) in single precision, streamed and from a Gram matrix that is
    stored.
    """

    grid: ClassVar[tuple[str, ...]] = ("d0", "s")

    part: Literal["precision"]
    d0: Several = (8,)
    s: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)
    n_samples: Annotated[int, Field(ge=4, multiple_of=2)] = 128

    def seconds(self, setting: Setting) -> float:
        """Of three passes over the pairs for each kernel."""
        del setting
        return 0.02 + 3e-7 * self.n_samples**2

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Relative errors against double precision, and the bound of the streamed pass."""
        half, seed = self.n_samples // 2, int(random.integers(1 << 32))
        X, y = nc.datasets.gaussian_mixture(
            (-2, 2), float(setting["s"]), (half, half), int(setting["d0"]), seed
        )
        for kernel in (nc.NTK("relu"), nc.NNGP("relu")):
            at = {"kernel": kernel.name}
            exact = nc.collapse(X, y, kernel, convention="papyan")
            K = kernel(X).astype(np.float32).astype(np.float64)
            streamed = nc.collapse(X, y, kernel, convention="papyan", dtype="float32")
            stored = nc.collapse(K, y, "precomputed", convention="papyan")
            yield Measure(kernel.name, NC1, exact.nc1, exact.error_bound)
            for thing, result in ((STREAMED, streamed), (STORED, stored)):
                yield Measure(thing, OFF, abs(result.nc1 / exact.nc1 - 1), at=at)
            over = abs(streamed.nc1 - exact.nc1) / (streamed.error_bound + exact.error_bound)
            yield Measure(STREAMED, OVER_BOUND, over, at=at)


class FiniteInfiniteOnD1(on_d1.OnD1):
    """NTK, NNGP, and the hidden features of a trained network."""

    seconds_each: ClassVar[float] = 0.6

    def constructions(
        self, X: Array, y: NDArray[Any], random: np.random.Generator
    ) -> Iterator[tuple[str, Any]]:
        """The two limits, and a network of width 256 before and after 100 steps."""
        for kernel in (nc.NNGP("relu"), nc.NTK("relu")):
            yield f"ReLU {kernel.name}", nc.collapse(X, y, kernel, convention="papyan")
        network = Network(_D1_WIDTH, X.shape[1], random, centred=True)
        first = network.branches[0]
        name = f"ReLU network of width {_D1_WIDTH}"
        yield f"{name}, start", nc.collapse(first.hidden(X), y, convention="papyan")
        top = float(np.linalg.eigvalsh(nc.NTK("relu")(X))[-1])
        targets = np.where(y == y.max(), 1.0, -1.0)
        network.train(X, targets, FullBatch(_RATE * len(y) / top, _D1_STEPS))
        yield f"{name}, end", nc.collapse(first.hidden(X), y, convention="papyan")
