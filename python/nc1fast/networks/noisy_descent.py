"""Noisy gradient descent of mean-field networks, followed along its steps, and its prediction by
kernels.

theta <- theta - eta (grad + lambda theta) + sqrt(2 eta lambda) xi, grad that of m L, L = |f -
y|^2/n. The step is that of `Langevin` with temperature lambda and prior N(0, I), which agrees with
it to first order in eta lambda; without noise it is plain gradient descent.

The prediction is ours, to first order in 1/alpha as the width grows. With a_k(x) the part of degree
k in w of u h(<w, x>/sqrt(d0)) in Hermite polynomials, K_k(x, x') = E a_k(x) a_k(x') sums over k to
the NNGP and (1 + k) K_k to the NTK, and f = sum_k F_k with

    dF_k/dt = -alpha^2 (1 + k) K_k dL/df - lambda (1 + k) F_k

At lambda t << 1 this is the NTK; at lambda t >> 1 it is ridge regression with the NNGP and ridge n
lambda/(2 alpha^2). After Chen, Cao, Gu & Zhang (2020), arXiv 2002.04026.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from nc1fast.kernels.fully_connected import NTK
from nc1fast.networks.empirical import empirical_ntk
from nc1fast.networks.objective import Langevin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_MOST, _NODES = 24, 200  # degrees of Hermite polynomials, and nodes of their quadrature


@dataclass(frozen=True)
class NoisySteps:
    """One descent: eta, the number of steps, lambda, and the seed of the noise."""

    rate: float
    steps: int
    decay: float
    seed: int

    def optimizer(self, parameters: Any) -> Any:
        """The torch optimizer that takes these steps along the gradient of m L."""
        if self.decay == 0:
            return torch.optim.SGD(parameters, lr=self.rate)
        return Langevin(
            parameters,
            lr=self.rate,
            temperature=self.decay,
            prior_variance=1.0,
            generator=torch.Generator().manual_seed(self.seed),
        )


@dataclass(frozen=True)
class SphereTask:
    """Rows X (n, d0) with targets y (n,)."""

    X: Array
    y: Array

    @classmethod
    def drawn(cls, n: int, d0: int, random: np.random.Generator) -> SphereTask:
        """N rows, evenly on the sphere, with random signs."""
        rows = random.standard_normal((n, d0))
        rows *= math.sqrt(d0) / np.linalg.norm(rows, axis=1, keepdims=True)
        return cls(rows, random.choice([-1.0, 1.0], n))

    def losses(self, outputs: Array) -> Array:
        """|f - y|^2/n of each step, of outputs (steps, n)."""
        return np.asarray(np.square(outputs - self.y).mean(axis=1))

    def ntk_eigenvalues(self) -> Array:
        """The eigenvalues of the tanh NTK, ascending."""
        return np.asarray(np.linalg.eigvalsh(NTK("tanh")(self.X)))

    def descend(self, network: Any, noise: NoisySteps) -> Iterator[Array]:
        """Outputs f at the rows, before each step and after the last one; the network moves in
        place.
        """
        rows, targets = torch.from_numpy(self.X), torch.from_numpy(self.y)[:, None]
        optimizer = noise.optimizer(network.parameters())
        for step in range(noise.steps + 1):
            f = network(rows)
            yield f.detach().numpy()[:, 0].copy()
            if step < noise.steps:
                optimizer.zero_grad()
                (network.width * (f - targets).square().mean()).backward()
                optimizer.step()

    def predicted(self, start: Array, alpha: float, noise: NoisySteps) -> Array:
        """Outputs along the steps by the kernels, (steps + 1, n), of tanh networks on rows with
        |x|^2 = d0, from the outputs at the start, which decay as their degree 1 does, which is most
        of them.
        """
        degrees, parts = hermite_parts(self.X)
        pulls = noise.decay * degrees
        kept = np.exp(-noise.rate * pulls)
        lengths = -np.expm1(-noise.rate * pulls) / pulls if noise.decay else noise.rate + 0 * pulls
        forces = alpha**2 * (lengths * degrees)[:, None, None] * parts
        forces = forces.reshape(-1, len(start))  # (parts n, n)
        F, first, found = np.zeros((len(degrees), len(start))), start, []
        for _ in range(noise.steps + 1):
            f = first + F.sum(axis=0)
            found.append(f)
            F = kept[:, None] * F - (forces @ (2 / len(f) * (f - self.y))).reshape(F.shape)
            first = math.exp(-2 * noise.rate * noise.decay) * first
        return np.stack(found)


class NoisyPath(NamedTuple):
    """Outputs (steps + 1, n) of a network and by the kernels, the largest relative change of the
    NTK, and the mean square displacement of the weights.
    """

    outputs: Array
    predicted: Array
    drift: float
    moved: float

    @classmethod
    def of(cls, network: Any, task: SphereTask, noise: NoisySteps) -> NoisyPath:
        """The descent of a network, which moves in place."""
        outputs, drift, start = [], 0.0, weights_of(network)
        K, seen = empirical_ntk(network, task.X), looked_at(noise.steps)
        for step, f in enumerate(task.descend(network, noise)):
            outputs.append(f)
            if step in seen:
                change = empirical_ntk(network, task.X) - K
                drift = max(drift, float(np.linalg.norm(change) / np.linalg.norm(K)))
        predicted = task.predicted(outputs[0], network.scale, noise)
        moved = float(np.square(weights_of(network) - start).mean())
        return cls(np.stack(outputs), predicted, drift, moved)


def looked_at(steps: int) -> list[int]:
    """24 steps of the curves, evenly in their logarithm, from the first to the last one."""
    return sorted({round(steps ** (i / 23)) for i in range(24)})


def at_the_end(numbers: Array) -> float:
    """The mean over the last tenth of the steps."""
    return float(numbers[-max(1, len(numbers) // 10) :].mean())


def weights_of(network: Any) -> Array:
    """All weights, in one vector."""
    return np.concatenate([p.detach().numpy().ravel() for p in network.parameters()])


def hermite_parts(X: Array) -> tuple[Array, Array]:
    """Degrees 1 + k of u h_k, h = tanh, and K_k of rows with |x|^2 = d0, of shapes (parts,) and
    (parts, n, n).

    Their sums, plain and by degree, are the NNGP and the NTK; what is beyond the largest k is the
    last part.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    rho = X @ X.T / X.shape[1]
    degrees, parts = [], []
    before, now = np.zeros_like(nodes), np.ones_like(nodes)  # He_k/sqrt(k!)
    for k in range(_MOST):
        c = float(weights @ (np.tanh(nodes) * now))
        if k % 2:  # tanh is odd
            degrees.append(1.0 + k)
            parts.append(c**2 * rho**k)
        after = (nodes * now - math.sqrt(k) * before) / math.sqrt(k + 1)
        before, now = now, after
    rest = (NTK("tanh")(X) - np.tensordot(degrees, np.stack(parts), 1)) / (2.0 + _MOST)
    return np.array([*degrees, 2.0 + _MOST]), np.stack([*parts, rest])
