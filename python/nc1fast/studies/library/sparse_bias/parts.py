"""The bias-generalised NTK beside Owen's function, its spectrum, finite networks, and NC1 against
the bias.

f = m^-1/2 sum_r a_r relu(<w_r, x> - b_r), b_r = B at the start, w and b trained, a = +-1 fixed:
H(x, x') = (<x, x'> + 1) P(<w, x> >= B, <w, x'> >= B), w ~ N(0, I).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

import nc1fast as nc
from nc1fast.studies.experiment import Part
from nc1fast.studies.fields import Count, Number
from nc1fast.studies.library import on_d1
from nc1fast.studies.measures import Measure
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.studies.measures import Setting

KERNEL, START, TRAINED, NETWORK = "H", "network, start", "network, training", "network"
FROM_OWEN = "largest difference from Owen's function"
FROM_RELU = "largest relative difference from the ReLU NTK"
SMALLEST, CONDITION = "smallest eigenvalue", "condition number"
DEVIATION = "Frobenius deviation of a network, relative"
SHARE = "active share"
LOSS = "loss over its bound"

Biases = Annotated[tuple[Annotated[Number, Field(ge=0, le=4)], ...], Field(min_length=1)]
_BIASES = (0.0, 0.5, 1.0, 1.5)


def limit(bias: float, n_features: int, weight_variance: float | None = None) -> nc.NTK:
    """H of rows of so many features; `weight_variance` is d0 where it is not given, so that w ~
    N(0, I).
    """
    variance = float(n_features) if weight_variance is None else weight_variance
    return nc.NTK(
        nc.ShiftedReLU(bias),
        weight_variance=(variance, 1.0),
        parametrization="standard",
        width=1,  # of the readout, which is fixed
        train_readout=False,
    )


def network(
    bias: float, n_features: int, width: int, seed: int, weight_variance: float | None = None
) -> Any:
    """A network with that limit, its readout +-m^-1/2 with random signs."""
    import torch

    variance = float(n_features) if weight_variance is None else weight_variance
    drawn = nc.networks.ShallowNetwork(
        nc.ShiftedReLU(bias),
        n_features,
        width=width,
        weight_variance=(variance, 1.0),
        train_readout=False,
        seed=seed,
    )
    with torch.no_grad():
        drawn.output.weight.copy_(drawn.output.weight.sign() / math.sqrt(width))
    return drawn


def active(drawn: Any, rows: Any) -> float:
    """Share of pairs of a hidden unit and a row at which the unit is above its threshold."""
    import torch

    with torch.no_grad():
        return float((drawn.post1(drawn.pre1(rows)) > 0).double().mean())


def descend(drawn: Any, rows: Any, targets: Any, lr: float, steps: int) -> Iterator[float]:
    """Train in place by full-batch gradient descent on the mean squared error; its value before
    each step.
    """
    import torch

    optimizer = torch.optim.SGD([p for p in drawn.parameters() if p.requires_grad], lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(drawn(rows), targets)
        loss.backward()
        yield float(loss.detach())
        optimizer.step()


def unit_rows(random: np.random.Generator, n: int, d: int) -> NDArray[np.float64]:
    """Rows drawn evenly from the sphere."""
    X = random.normal(size=(n, d))
    rows: NDArray[np.float64] = X / np.linalg.norm(X, axis=1, keepdims=True)
    return rows


def by_owen(X: NDArray[np.float64], bias: float) -> NDArray[np.float64]:
    """H of unit rows by Owen's T, P = Q(B) - 2 T(B, sqrt((1 - r)/(1 + r))), the diagonal by r = 1."""
    special = require("scipy.special", "study")
    r = np.clip(X @ X.T, -1, 1)
    np.fill_diagonal(r, 1.0)
    with np.errstate(divide="ignore"):  # opposite rows, at infinity
        owen = special.owens_t(bias, np.sqrt((1 - r) / (1 + r)))
    found: NDArray[np.float64] = (r + 1) * (special.ndtr(-bias) - 2 * owen)
    return found


class Spectra(Part):
    """H of random unit rows at each bias: against Owen's function, and its eigenvalues."""

    grid: ClassVar[tuple[str, ...]] = ("d",)

    part: Literal["spectra"]
    d: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1)] = (16,)
    n_samples: Count = 200
    biases: Biases = _BIASES

    def seconds(self, setting: Setting) -> float:
        """Most of it for eigenvalues."""
        del setting
        return 0.01 + 4e-9 * len(self.biases) * self.n_samples**3

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """All biases on the same rows."""
        d = int(setting["d"])
        X = unit_rows(random, self.n_samples, d)
        for bias in self.biases:
            at = {"bias": bias}
            H = limit(bias, d)(X)
            yield Measure(KERNEL, FROM_OWEN, float(np.abs(H - by_owen(X, bias)).max()), at=at)
            if bias == 0:
                relu = nc.NTK(
                    "relu",
                    weight_variance=(float(d), 1.0),
                    parametrization="standard",
                    width=1,
                    train_readout=False,
                )(X)
                scale = np.abs(relu).max()
                yield Measure(KERNEL, FROM_RELU, float(np.abs(H - relu).max() / scale), at=at)
            eigenvalues = np.linalg.eigvalsh(H)
            rounding = len(X) * np.finfo(float).eps * eigenvalues[-1]
            yield Measure(KERNEL, SMALLEST, float(eigenvalues[0]), float(rounding), at)
            yield Measure(KERNEL, CONDITION, float(eigenvalues[-1] / eigenvalues[0]), at=at)


class SparseWidths(Part):
    """The tangent kernel of one wide network beside H, on a few random unit rows."""

    grid: ClassVar[tuple[str, ...]] = ("bias",)
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    part: Literal["widths"]
    bias: Biases = _BIASES
    d: Count = 16
    n_samples: Count = 12
    width: Count = 400000

    def seconds(self, setting: Setting) -> float:
        """Most of it for the gradients by every weight."""
        del setting
        return 0.02 + 1e-7 * self.width * self.n_samples

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """One number: |H_m - H|_F/|H|_F."""
        bias = float(setting["bias"])
        X = unit_rows(random, self.n_samples, self.d)
        drawn = network(bias, self.d, self.width, int(random.integers(1 << 32)))
        H = limit(bias, self.d)(X)
        difference = nc.networks.empirical_ntk(drawn, X) - H
        yield Measure(NETWORK, DEVIATION, float(np.linalg.norm(difference) / np.linalg.norm(H)))


class Descents(Part):
    """Gradient descent on random labels of random unit rows: active share, and the loss beside the
    linear rate of H.
    """

    grid: ClassVar[tuple[str, ...]] = ("bias",)
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    part: Literal["descents"]
    bias: Biases = _BIASES
    d: Count = 16
    n_samples: Count = 64
    width: Count = 2048
    steps: Count = 200

    def seconds(self, setting: Setting) -> float:
        """So many steps through all hidden units."""
        del setting
        return 0.02 + 2e-8 * self.steps * self.width * self.n_samples

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """The step is 1/largest eigenvalue of H; the share is looked at ten times.

        The loss after T steps over (1 - eta lambda_min/2)^T times that at the start.
        """
        import torch

        bias = float(setting["bias"])
        X = unit_rows(random, self.n_samples, self.d)
        targets = torch.from_numpy(random.choice([-1.0, 1.0], size=(self.n_samples, 1)))
        drawn = network(bias, self.d, self.width, int(random.integers(1 << 32)))
        eigenvalues = np.linalg.eigvalsh(limit(bias, self.d)(X))
        rows, lr = torch.from_numpy(X), self.n_samples / (2 * eigenvalues[-1])
        yield Measure(START, SHARE, active(drawn, rows))
        largest, losses = 0.0, []
        for step, loss in enumerate(descend(drawn, rows, targets, lr, self.steps + 1)):
            losses.append(loss)
            if step % max(1, self.steps // 10) == 0:
                largest = max(largest, active(drawn, rows))
        yield Measure(TRAINED, SHARE, largest)
        bound = (1 - eigenvalues[0] / eigenvalues[-1] / 2) ** self.steps
        yield Measure(TRAINED, LOSS, losses[-1] / losses[0] / bound)


class Collapses(Part):
    """NC1 of H against the bias: two Gaussian classes around +-(1, ..., 1), projected onto the
    sphere.
    """

    grid: ClassVar[tuple[str, ...]] = ("d",)

    part: Literal["collapses"]
    d: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1)] = (4, 16, 64)
    n_samples: Count = 400
    biases: Biases = (0.0, 0.5, 1.0, 1.5)

    def seconds(self, setting: Setting) -> float:
        """One pass for all biases."""
        del setting
        return 0.01 + 3e-8 * len(self.biases) * self.n_samples**2

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """All biases on the same rows."""
        d = int(setting["d"])
        sizes = [self.n_samples // 2, self.n_samples - self.n_samples // 2]
        X, y = nc.datasets.gaussian_mixture(
            [-1.0, 1.0], 1.0, sizes, d, int(random.integers(1 << 32))
        )
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        kernels = [limit(bias, d) for bias in self.biases]
        results = nc.collapse(X, y, kernels, convention="papyan")
        for bias, result in zip(self.biases, results, strict=True):
            yield Measure(KERNEL, "nc1", result.nc1, result.error_bound, {"bias": bias})


class SparseOnD1(on_d1.OnD1):
    """H at three biases, weights N(0, 1/d0), and the hidden units of a network with B = 1 before
    and after training.
    """

    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    seconds_each: ClassVar[float] = 0.5

    def constructions(
        self, X: NDArray[np.float64], y: NDArray[Any], random: np.random.Generator
    ) -> Iterator[tuple[str, Any]]:
        """Kernels from one pass; the network has 512 units and 100 steps of gradient descent."""
        import torch

        d0 = X.shape[1]
        kernels = {f"H, B = {bias:g}": limit(bias, d0, 1.0) for bias in (0.0, 1.0, 2.0)}
        results = nc.collapse(X, y, list(kernels.values()), convention="papyan")
        yield from zip(kernels, results, strict=True)
        drawn = network(1.0, d0, 512, int(random.integers(1 << 32)), 1.0)
        rows, targets = torch.from_numpy(X), torch.from_numpy(2.0 * (y == y.max()) - 1)[:, None]
        lr = len(X) / (2 * np.linalg.eigvalsh(limit(1.0, d0, 1.0)(X))[-1])
        for state, steps in (("start", 0), ("end", 100)):
            for _ in descend(drawn, rows, targets, lr, steps):
                pass
            with torch.no_grad():
                hidden = drawn.post1(drawn.pre1(rows)).numpy()
            yield f"network, B = 1, {state}", nc.collapse(hidden, y, convention="papyan")
