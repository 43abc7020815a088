"""Samples of the exact posterior of a network's hidden weights, by elliptical slices: knows no mean
field.

h hidden weights w ~ N(0, I/d0), the readout integrated out:

    p(W | Y) ~ prior(W) exp(-(1/2) [Y^T Qt^-1 Y + log det Qt]),   Qt = (sa2/h) Phi Phi^T + s2 I.

Source: Murray, Adams & MacKay (2010), elliptical slice sampling.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import lapack
from scipy.special import erf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PHI: dict[str, Callable[[Array], Array]] = {"erf": erf, "relu": lambda u: np.maximum(u, 0.0)}
BURN_IN = 1 / 5  # of the steps of a chain


class Posterior:
    """The posterior of the hidden weights of one network on one labelled data set.

    Parameters
    ----------
    X : ndarray of shape (N, d0)
    y : ndarray of shape (N,)
        Labels, which are the targets too.
    activation : {"erf", "relu"}
    width : int
    noise, readout_variance : float
    """

    def __init__(
        self,
        X: Array,
        y: NDArray[np.int64],
        activation: str,
        *,
        width: int,
        noise: float,
        readout_variance: float,
    ) -> None:
        self.rows, self.y = X / math.sqrt(X.shape[1]), y.astype(np.float64)
        self.phi, self.width = PHI[activation], width
        self.noise, self.readout_variance = noise, readout_variance
        members = y == np.unique(y)[:, None]
        self.averages = members / members.sum(axis=1, keepdims=True)  # (C, N)

    def look(self, W: Array) -> tuple[float, Array]:
        """Log-likelihood of the targets, and the activations (N, h), at standard normal W (d0,
        h).
        """
        F = self.phi(self.rows @ W)
        Qt = (self.readout_variance / self.width) * (F @ F.T)
        Qt[np.diag_indices_from(Qt)] += self.noise
        L, T, failed = lapack.dposv(Qt, self.y)
        assert not failed
        return -0.5 * float(self.y @ T) - float(np.log(np.diag(L)).sum()), F

    def traces(self, F: Array) -> tuple[float, float]:
        """Tr Sigma_W and Tr Sigma_B of the activations, classes of equal weight: linear in Phi
        Phi^T.
        """
        means = self.averages @ F
        squares = float((self.averages @ np.square(F)).sum()) / len(means)
        own = float(np.square(means).sum()) / len(means)
        common = float(np.square(means.mean(axis=0)).sum())
        return (squares - own) / self.width, (own - common) / self.width

    def chain(self, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
        """Traces at the steps of a chain that starts from the prior."""
        W = rng.standard_normal((self.rows.shape[1], self.width))
        log_likelihood, F = self.look(W)
        while True:
            direction = rng.standard_normal(W.shape)
            level = log_likelihood + math.log(rng.random())
            angle = rng.uniform(0, 2 * math.pi)
            low, high = angle - 2 * math.pi, angle
            while True:
                proposed = W * math.cos(angle) + direction * math.sin(angle)
                log_likelihood, F = self.look(proposed)
                if log_likelihood > level:
                    break
                low, high = (angle, high) if angle < 0 else (low, angle)
                angle = rng.uniform(low, high)
            W = proposed
            yield self.traces(F)


def posterior_log_nc1(chains: list[Array]) -> tuple[float, float]:
    """Log NC1 of the mean kernel of chains, each of shape (steps, 2), and its standard error from
    their correlation.
    """
    kept = [chain[int(BURN_IN * len(chain)) :] for chain in chains]
    within, between = np.concatenate(kept).mean(axis=0)
    deviations = [chain[:, 0] / within - chain[:, 1] / between for chain in kept]  # of log NC1
    variance = sum(len(d) * float(np.square(d).mean()) * correlation_time(d) for d in deviations)
    return math.log(within / between), math.sqrt(variance) / sum(map(len, deviations))


def correlation_time(values: Array) -> float:
    """Integrated autocorrelation time: that many steps of a chain are worth one independent draw.

    Source: Sokal (1997), the window of five correlation times.
    """
    centred = values - values.mean()
    transform = np.fft.rfft(centred, 2 * len(centred))
    correlation = np.fft.irfft(np.abs(transform) ** 2)[: len(centred)]
    times = 2 * np.cumsum(correlation / correlation[0]) - 1
    windows = np.arange(len(times)) >= 5 * times
    return max(1.0, float(times[windows.argmax() if windows.any() else -1]))
