"""Kernels of degree P beside finite networks; their frequencies on the circle; NC1 against P.

k1 = |x||x'| kappa1 and k0 = kappa0 are the arc-cosine kernels of a factor sqrt2 relu(<w, x>): the
NNGP is k1^P, the NTK k1^P + P <x, x'> k0 k1^(P-1).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

import nc1fast as nc
from nc1fast.kernels import SkipPolynomial, polynomial_nngp, polynomial_ntk
from nc1fast.studies.experiment import Part
from nc1fast.studies.fields import Count  # noqa: TC001  (pydantic reads it)
from nc1fast.studies.library import on_d1
from nc1fast.studies.measures import Measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from nc1fast.studies.measures import Setting

    Gram = Callable[..., NDArray[Any]]

PRODUCTS: Final = "products"
SKIPS: Final = "products with skips"
NNGP, NTK, NETWORK = "NNGP", "NTK", "NTK of a network"
SAMPLED = "NTK, at the places of the network"  # so few that c_k is that of k, 64 - k, 64 + k, ...
DEVIATION = "relative deviation of a network"
FROM_RELU = "largest relative difference from the ReLU NTK"
FREQUENCY = "c_k/c_0"
ODD, EVEN = (1, 3, 5, 7, 9), (2, 4, 6, 8)

Factors = Annotated[tuple[Annotated[int, Field(ge=1, le=8)], ...], Field(min_length=1)]


def limits(unit: str, degree: int) -> tuple[Gram, Gram]:
    """NNGP and NTK of a kind of units."""
    if unit == SKIPS:
        return SkipPolynomial(degree), SkipPolynomial(degree, tangent=True)
    return polynomial_nngp(degree), polynomial_ntk(degree)


def frequencies(K: NDArray[Any], most: int) -> NDArray[np.float64]:
    """c_k/c_0, k = 1, ..., most, of the Gram matrix of n even places on the circle: of its mean
    along its diagonals.

    One row of a kernel that sees the angle alone is enough.
    """
    n = K.shape[1]
    rows = np.fft.fft(K, axis=1) * np.exp(
        2j * np.pi * np.outer(np.arange(len(K)), np.arange(n)) / n
    )
    c = rows.mean(axis=0).real
    found: NDArray[np.float64] = c[1 : most + 1] / c[0]
    return found


def on_circle(n: int) -> NDArray[np.float64]:
    """Rows (cos t, sin t) at n even places t."""
    t = 2 * np.pi * np.arange(n) / n
    return np.stack([np.cos(t), np.sin(t)], axis=1)


class Limits(Part):
    """Mean entry of both kernels over a few rows, of one network, relative to its limit."""

    grid: ClassVar[tuple[str, ...]] = ("unit", "degree")
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    part: Literal["limits"]
    unit: Annotated[tuple[Literal["products", "products with skips"], ...], Field(min_length=1)] = (
        PRODUCTS,
        SKIPS,
    )
    degree: Factors = (1, 2, 3)
    width: Count = 16384

    def seconds(self, setting: Setting) -> float:
        """Most of it for the gradients by every weight."""
        return 0.02 + 1.2e-6 * self.width * int(setting["degree"])

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Deviations on six rows that all repeats share, and the ReLU NTK beside the NTK of degree
        1.
        """
        import torch

        unit, degree = str(setting["unit"]), int(setting["degree"])
        X = np.random.default_rng(0).normal(size=(6, 5))
        network = nc.networks.PolynomialNetwork(
            5,
            degree=degree,
            width=self.width,
            skip=unit == SKIPS,
            seed=int(random.integers(1 << 32)),
        )
        with torch.no_grad():
            H = network.features(torch.from_numpy(X)).numpy()
        nngp, ntk = limits(unit, degree)
        found = {NNGP: H @ H.T / self.width, NTK: nc.networks.empirical_ntk(network, X)}
        for (name, K), limit in zip(found.items(), (nngp, ntk), strict=True):
            yield Measure(name, DEVIATION, float(K.sum() / limit(X).sum() - 1))
        if unit == PRODUCTS and degree == 1:
            relu = nc.NTK("relu", weight_variance=(1.0, 2.0))(X)
            yield Measure(NTK, FROM_RELU, float(np.abs(ntk(X) / relu - 1).max()))


class Circle(Part):
    """Fourier coefficients along the angle, of both kernels and of the NTK of one network."""

    grid: ClassVar[tuple[str, ...]] = ("degree",)
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    part: Literal["circle"]
    degree: Factors = (1, 2, 3)
    width: Count = 16384
    places: ClassVar[tuple[int, int]] = (1024, 64)  # of the kernels, and of a network

    def seconds(self, setting: Setting) -> float:
        """Most of it for the gradients by every weight, at each place."""
        return 0.01 + 9e-6 * self.width * int(setting["degree"])

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Odd and even frequencies, up to 9."""
        degree = int(setting["degree"])
        X, sampled = map(on_circle, self.places)
        network = nc.networks.PolynomialNetwork(
            2, degree=degree, width=self.width, seed=int(random.integers(1 << 32))
        )
        nngp, ntk = limits(PRODUCTS, degree)
        found = {
            NNGP: nngp(X[:1], X),
            NTK: ntk(X[:1], X),
            SAMPLED: ntk(sampled[:1], sampled),
            NETWORK: nc.networks.empirical_ntk(network, sampled),
        }
        most = max(ODD + EVEN)
        for name, K in found.items():
            for k, value in enumerate(frequencies(K, most), start=1):
                yield Measure(name, FREQUENCY, float(value), at={"k": k})


class Degrees(Part):
    """NC1 of both kernels against P, on D1."""

    grid: ClassVar[tuple[str, ...]] = ("d0",)

    part: Literal["degrees"]
    d0: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 8, 128)
    degrees: Factors = (1, 2, 3, 4, 5)
    n_samples: Count = 256

    def seconds(self, setting: Setting) -> float:
        """One pass for all kernels."""
        del setting
        return 0.01 + 5e-8 * len(self.degrees) * self.n_samples**2

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Both at each degree, from the same data."""
        X, y = nc.datasets.paper_d1(
            self.n_samples, int(setting["d0"]), int(random.integers(1 << 32))
        )
        kernels = [make(P) for make in (polynomial_nngp, polynomial_ntk) for P in self.degrees]
        results = iter(nc.collapse(X, y, kernels, convention="papyan"))
        for name in (NNGP, NTK):
            for P in self.degrees:
                result = next(results)
                yield Measure(name, "nc1", result.nc1, result.error_bound, {"degree": P})


class PolynomialOnD1(on_d1.OnD1):
    """Kernels of degrees 1 to 3, with skips, and a network of degree 2 before and after training."""

    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    seconds_each: ClassVar[float] = 0.4

    def constructions(
        self, X: NDArray[np.float64], y: NDArray[Any], random: np.random.Generator
    ) -> Iterator[tuple[str, Any]]:
        """Kernels from one pass; the network has 256 units and is trained by 100 steps of Adam."""
        import torch

        kernels = {
            f"{name} of products, P = {P}": make(P)
            for P in (1, 2, 3)
            for name, make in ((NNGP, polynomial_nngp), (NTK, polynomial_ntk))
        }
        results = nc.collapse(X, y, list(kernels.values()), convention="papyan")
        yield from zip(kernels, results, strict=True)
        for name, tangent in ((NNGP, False), (NTK, True)):
            kernel = SkipPolynomial(2, tangent=tangent)
            yield f"{name} with skips, P = 2", nc.collapse(X, y, kernel, convention="papyan")
        network = nc.networks.PolynomialNetwork(
            X.shape[1], degree=2, width=256, seed=int(random.integers(1 << 32))
        )
        rows = torch.from_numpy(X)
        targets = torch.from_numpy(2.0 * (y == y.max()) - 1)[:, None]
        for state, steps in (("start", 0), ("end", 100)):
            descend(network, rows, targets, steps)
            with torch.no_grad():
                H = network.features(rows).numpy() / math.sqrt(network.width)
            yield f"network of products, P = 2, {state}", nc.collapse(H, y, convention="papyan")


def descend(network: Any, rows: Any, targets: Any, steps: int) -> None:
    """Train a network in place, by full-batch steps of Adam at a rate of .01 on the mean squared
    error.
    """
    import torch

    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(network(rows), targets).backward()
        optimizer.step()
