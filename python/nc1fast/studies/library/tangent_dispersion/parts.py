"""Dispersion of the tangent kernel over initialisations, its drift during training, and the spread
of its NC1.

ReLU networks of depth L and width n in the NTK parametrization, biases of variance sb2 trained. For
sw2 < 2 they are in the ordered phase, where gradients vanish, for sw2 > 2 in the chaotic one, where
they explode; sw2 = 2 is the edge of chaos.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

import nc1fast as nc
from nc1fast.studies.experiment import Part
from nc1fast.studies.fields import Count, Positive, Variance
from nc1fast.studies.library import on_d1
from nc1fast.studies.measures import Measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.studies.measures import Setting

    Array = NDArray[np.float64]

LIMIT, NETWORK, EXACT = "limit", "network", "recursion"
SCALED = "n Var/mean^2"
CHANGE = "relative change of Var/mean^2 with sw2"
DEVIATION = "std/mean of an entry"
RATIO = "log E[Theta^2]/E[Theta]^2"
DRIFT, LOSS = "median drift", "loss over that of the best constant"
NC1, SPREAD, TRACES = "nc1", "std/mean of NC1", "std/mean of the trace"
OVER = "mean NC1 over that of the limit"

_PER_WEIGHT = 2.9e-8  # seconds of a draw with its kernel on one row

Several = Annotated[tuple[Count, ...], Field(min_length=1)]
Depth = Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1)]
Variances = Annotated[tuple[Positive, ...], Field(min_length=1)]
Draws = Annotated[int, Field(ge=2)]


def network(d0: int, setting: Setting, bias_variance: float = 0.0) -> Any:
    """A network with the width, depth and sw2 of a setting."""
    return nc.networks.ShallowNetwork(
        "relu",
        d0,
        depth=int(setting.get("L", 2)),
        width=int(setting["n"]),
        weight_variance=float(setting.get("sw2", 2.0)),
        bias_variance=bias_variance,
        parametrization="ntk",
        seed=0,
    )


def on_sphere(n: int, d0: int, random: np.random.Generator) -> Array:
    """Random rows, |x|^2 = d0."""
    X = random.standard_normal((n, d0))
    return np.asarray(X * math.sqrt(d0) / np.linalg.norm(X, axis=1, keepdims=True))


def _weights(setting: Setting) -> int:
    """Roughly how many there are."""
    n, depth = int(setting["n"]), int(setting.get("L", 2))
    return 16 * n + (depth - 2) * n**2


class ShallowDispersion(Part):
    """One entry of the tangent kernel of two-layer networks without biases: n Var/mean^2."""

    grid: ClassVar[tuple[str, ...]] = ("n",)
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    part: Literal["shallow"]
    n: Several = (16, 64, 256)
    d0: Count = 10
    draws: Draws = 3000

    def seconds(self, setting: Setting) -> float:
        """Of all draws and their weights."""
        return 0.02 + _PER_WEIGHT * self.draws * _weights(setting)

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Theta(x, x) of a random row."""
        x, seed = on_sphere(1, self.d0, random), int(random.integers(1 << 32))
        found = nc.networks.tangent_dispersion(
            network(self.d0, setting), x, draws=self.draws, seed=seed
        )
        scaled = found.relative_variance[0, 0] * int(setting["n"])
        yield Measure(NETWORK, SCALED, float(scaled))


class UnbiasedDispersion(Part):
    """Networks without biases: the law of Var/mean^2, and whether it depends on sw2."""

    grid: ClassVar[tuple[str, ...]] = ("n", "L")
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    part: Literal["without biases"]
    n: Several = (32,)
    L: Depth = (2, 4, 8)
    sw2: Variances = (1.0, 3.0)
    d0: Count = 10
    draws: Draws = 4000

    def seconds(self, setting: Setting) -> float:
        """Of all draws; a fourth of them for each further sw2."""
        share = 1 + len(self.sw2) / 4
        return 0.02 + share * _PER_WEIGHT * self.draws * _weights(setting)

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """The log ratio at sw2 = 2, that of the recursion, and Var/mean^2 of the same draws at
        other sw2.
        """
        x, seed = on_sphere(1, self.d0, random), int(random.integers(1 << 32))
        found = nc.networks.tangent_dispersion(
            network(self.d0, setting), x, draws=self.draws, seed=seed
        )
        yield Measure(NETWORK, RATIO, float(np.log1p(found.relative_variance[0, 0])))
        moment = nc.theory.tangent_moment([int(setting["n"])] * (int(setting["L"]) - 1))
        yield Measure(EXACT, RATIO, math.log(moment), 1e-14)
        few = max(2, self.draws // 4)
        first: float | None = None
        for sw2 in (2.0, *self.sw2):
            scaled = network(self.d0, {**setting, "sw2": sw2})
            one = nc.networks.tangent_dispersion(scaled, x, draws=few, seed=seed)
            value = float(one.relative_variance[0, 0])
            if first is None:
                first = value
            else:
                yield Measure(NETWORK, CHANGE, abs(value / first - 1), at={"sw2": sw2})


class DepthDispersion(Part):
    """One entry of networks with trained biases: std/mean against depth in the three phases."""

    grid: ClassVar[tuple[str, ...]] = ("n", "sw2", "L")
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    part: Literal["depths"]
    n: Several = (64,)
    sw2: Variances = (1.0, 2.0, 3.0)
    L: Depth = (2, 4, 8, 16, 24)
    sb2: Variance = 0.5
    d0: Count = 10
    draws: Draws = 500

    def seconds(self, setting: Setting) -> float:
        """Of all draws and their weights."""
        return 0.02 + _PER_WEIGHT * self.draws * _weights(setting)

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Theta(x, x) of a random row."""
        x, seed = on_sphere(1, self.d0, random), int(random.integers(1 << 32))
        found = nc.networks.tangent_dispersion(
            network(self.d0, setting, self.sb2), x, draws=self.draws, seed=seed
        )
        yield Measure(NETWORK, DEVIATION, float(found.relative_deviation[0, 0]))


class TangentDrifts(Part):
    """Networks trained on random labels by full-batch gradient descent: how far the tangent kernel
    moves.

    The rate is `rate` n_samples/lambda_max of the kernel that each network begins with.
    """

    grid: ClassVar[tuple[str, ...]] = ("n", "sw2", "L")
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    part: Literal["drifts"]
    n: Several = (64,)
    sw2: Variances = (1.0, 2.0, 3.0)
    L: Depth = (2, 4, 8, 16, 24)
    sb2: Variance = 0.5
    d0: Count = 10
    n_samples: Annotated[int, Field(ge=2, multiple_of=2)] = 16
    networks: Count = 16
    steps: Count = 100
    rate: Positive = 0.5

    def seconds(self, setting: Setting) -> float:
        """Of all steps of all networks."""
        step = 1.5e-4 * int(setting["L"]) + 1e-8 * self.networks * _weights(setting)
        return 0.05 + self.steps * step

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Medians over the networks of |Theta_T - Theta_0|_F/|Theta_0|_F, and of the loss; 1 is
        that of a constant.
        """
        import torch

        X = on_sphere(self.n_samples, self.d0, random)
        labels = random.permutation(np.repeat([-1.0, 1.0], self.n_samples // 2))
        ensemble = nc.networks.Ensemble(
            network(self.d0, setting, self.sb2),
            self.networks,
            seed=int(random.integers(1 << 32)),
        )
        before = ensemble.tangent_kernels(X)
        rates = self.rate * self.n_samples / np.linalg.eigvalsh(before)[:, -1]
        rows, targets = torch.from_numpy(X), torch.from_numpy(labels)
        losses = descend(ensemble, rows, targets, torch.from_numpy(rates), self.steps)
        moved = np.linalg.norm(ensemble.tangent_kernels(X) - before, axis=(1, 2))
        drift = moved / np.linalg.norm(before, axis=(1, 2))
        diverged = ~(np.isfinite(drift) & np.isfinite(losses))
        if 2 * diverged.sum() >= self.networks:
            raise ValueError(f"{diverged.sum()} of {self.networks} networks diverge")
        for quantity, numbers in ((DRIFT, drift), (LOSS, losses)):
            yield Measure(NETWORK, quantity, float(np.median(np.where(diverged, np.inf, numbers))))


def descend(ensemble: Any, rows: Any, targets: Any, rates: Any, steps: int) -> Array:
    """Gradient descent on mean squared errors, (f - y)^2/2, a rate for each network, in place;
    their losses times 2 after it.
    """
    import torch

    parameters = [p for p in ensemble.parameters() if p.requires_grad]
    for _ in range(steps):
        losses = (ensemble(rows)[..., 0] - targets).square().mean(dim=1) / 2
        gradients = torch.autograd.grad(losses.sum(), parameters)
        with torch.no_grad():
            for p, g in zip(parameters, gradients, strict=True):
                p.sub_(rates.reshape(-1, *[1] * (p.ndim - 1)) * g)
    with torch.no_grad():
        squares = (ensemble(rows)[..., 0] - targets).square().mean(dim=1)
    return np.asarray(squares.numpy())


class TangentSpreads(Part):
    """NC1 of the tangent kernels of networks on one draw of D1, and of their limit."""

    grid: ClassVar[tuple[str, ...]] = ("n", "sw2", "L")
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    part: Literal["spreads"]
    n: Several = (64,)
    sw2: Variances = (1.0, 2.0, 3.0)
    L: Depth = (2, 4, 8, 16, 24)
    sb2: Variance = 0.5
    d0: Count = 8
    n_samples: Annotated[int, Field(ge=4, multiple_of=2)] = 64
    networks: Draws = 40

    def seconds(self, setting: Setting) -> float:
        """Of all networks, and of their sums."""
        return 0.05 + self.networks * (5e-4 + 9e-8 * _weights(setting))

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """The limit, the mean over networks, and their spread."""
        X, y = nc.datasets.paper_d1(self.n_samples, self.d0, int(random.integers(1 << 32)))
        one = network(self.d0, setting, self.sb2)
        ensemble = nc.networks.Ensemble(one, self.networks, seed=int(random.integers(1 << 32)))
        kernels = ensemble.tangent_kernels(X)
        limit = nc.collapse(X, y, one.ntk(), convention="papyan")
        results = nc.collapse_each(((K, y) for K in kernels), "precomputed", convention="papyan")
        found = np.array([result.nc1 for result in results])
        traces = np.trace(kernels, axis1=1, axis2=2)
        yield Measure(LIMIT, NC1, limit.nc1, limit.error_bound)
        yield Measure(NETWORK, NC1, float(found.mean()))
        yield Measure(NETWORK, OVER, float(found.mean() / limit.nc1))
        for quantity, numbers in ((SPREAD, found), (TRACES, traces)):
            yield Measure(NETWORK, quantity, float(numbers.std(ddof=1) / numbers.mean()))


class DispersionOnD1(on_d1.OnD1):
    """Tangent kernels of networks of width 64 with trained biases, sb2 = 1/2, in the three phases,
    and their limits.
    """

    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    seconds_each: ClassVar[float] = 0.1

    def constructions(
        self, X: Array, y: NDArray[Any], random: np.random.Generator
    ) -> Iterator[tuple[str, Any]]:
        """One network beside its limit, shallow and deep."""
        for sw2, depth in ((2.0, 2), (1.0, 8), (2.0, 8), (3.0, 8)):
            where = f"sw2 = {sw2:g}, L = {depth}"
            one = network(X.shape[1], {"n": 64, "sw2": sw2, "L": depth}, 0.5)
            yield f"ReLU NTK, {where}", nc.collapse(X, y, one.ntk(), convention="papyan")
            one.draw(int(random.integers(1 << 32)))
            K = nc.networks.empirical_ntk(one, X)
            yield f"empirical NTK, {where}", nc.collapse(K, y, "precomputed", convention="papyan")
