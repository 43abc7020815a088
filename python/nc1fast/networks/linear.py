"""LinearNetwork: a deep linear network whose tangent kernel and gradient flow are known in closed
form, without torch.

With F_l = W_{l-1} ... W_1 before layer l and B_l = W_L ... W_{l+1} behind it, the gradient of f by
W_l is B_l^T (F_l x)^T, and
    Theta(x, z) = <x, M z>,   M = (1/C) sum_l |B_l|^2 F_l^T F_l   (d0, d0)
Gradient flow on |f - Y|^2/(2 N C) needs S = X^T X/(N C) and R = Y^T X/(N C) alone: dW_l/dt = B_l^T
(R - P S) F_l^T, P = W_L ... W_1.
Source: Saxe, McClelland & Ganguli (2014); Atanasov, Bordelon & Pehlevan (2022), arXiv 2111.00034.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.paths import reads_files
from nc1fast.inputs.arrays import as_rows
from nc1fast.support.arguments import as_count, as_number, seed_of
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]


class LinearNetwork:
    """A linear network f(x) = W_L ... W_1 x; each layer multiplies by its weights as they are.

    Parameters
    ----------
    weights : sequence of array-like
        From input to output, (n_1, d0), (n_2, n_1), ..., (C, n_{L-1}); at least two.

    Attributes
    ----------
    weights : tuple of ndarray
    matrix : ndarray of shape (C, d0)
        P = W_L ... W_1, the linear map of the network.
    tangent_metric : ndarray of shape (d0, d0)
        M of the tangent kernel <x, M z>, symmetric and positive semi-definite.

    Raises
    ------
    ValueError
        For fewer than two layers, layers that do not fit, NaN or Inf.

    Notes
    -----
    The empirical NTK of `ShallowNetwork(LeakyReLU(1), ...)` with the same weights, in the standard
    parametrization.
    Cost: d0 sum_l n_l n_{l-1} multiply-adds for the metric, whatever the number of rows.

    Examples
    --------
    >>> network = nc.networks.LinearNetwork.drawn(X.shape[1], width=50, weight_std=0.01, seed=0)
    >>> flow = network.gradient_flow(X, targets, time=100)
    >>> early = flow.at(flow.time_of(0.05))  # when the loss has fallen by 5 %
    >>> nc.collapse(early.tangent_features(X), y).nc1  # of the tangent kernel
    """

    @ieee
    def __init__(self, weights: Sequence[ArrayLike]) -> None:
        self.weights = tuple(np.array(W, dtype=np.float64) for W in weights)
        if len(self.weights) < 2 or any(W.ndim != 2 or not W.size for W in self.weights):
            raise ValueError("weights must be two matrices or more, one for each layer")
        for l, (first, second) in enumerate(itertools.pairwise(self.weights), 1):
            if second.shape[1] != len(first):
                raise ValueError(
                    f"weights of layer {l + 1} must have {len(first)} columns, the units of layer "
                    f"{l}, got {second.shape}"
                )
        if not all(np.isfinite(W).all() for W in self.weights):
            raise ValueError("weights must be finite")

    @classmethod
    def drawn(
        cls,
        n_features: int,
        *,
        depth: int = 2,
        width: int = 500,
        n_outputs: int = 1,
        weight_std: float = 1.0,
        seed: Any = None,
        rng: Any = None,
    ) -> LinearNetwork:
        """A network whose weights are N(0, weight_std^2), whatever the widths.

        Parameters
        ----------
        n_features : int
        depth : int, default 2
            Layers L >= 2.
        width : int, default 500
            Units of each hidden layer.
        n_outputs : int, default 1
        weight_std : float, default 1.0
            The smaller, the earlier the tangent kernel aligns in training; at least 0.
        seed : int or numpy Generator, optional
        rng : None, int or numpy.random.Generator, optional
            What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a
            Generator its next integer.

        Returns
        -------
        LinearNetwork
        """
        n, depth = as_count("width", width), as_count("depth", depth, 2)
        std = as_number("weight_std", weight_std, least=0)
        fans = (as_count("n_features", n_features), *[n] * (depth - 1))
        sizes = itertools.pairwise((*fans, as_count("n_outputs", n_outputs)))
        random = np.random.default_rng(seed_of(rng, seed, None))
        return cls([std * random.standard_normal((below, above)) for above, below in sizes])

    @classmethod
    def balanced(cls, matrix: ArrayLike, depth: int = 2) -> LinearNetwork:
        """The network of a linear map with W_{l+1}^T W_{l+1} = W_l W_l^T, as flow from small
        weights makes it.

        Parameters
        ----------
        matrix : array-like of shape (C, d0)
            P = U diag(s) V^T.
        depth : int, default 2
            Layers L >= 2.

        Returns
        -------
        LinearNetwork
            Of min(C, d0) hidden units: diag(s)^(1/L) V^T, diag(s)^(1/L), ..., U diag(s)^(1/L).

        Notes
        -----
        For one output its metric is |P|^(2 - 2/L) (I + (L - 1) p p^T), p = P/|P|: with whitened
        rows and targets X P^T the tangent kernel has the alignment L/sqrt(d0 - 1 + L^2).
        Source: Arora, Cohen & Hazan (2018) for the balance, which gradient flow conserves;
        Atanasov, Bordelon & Pehlevan (2022).
        """
        depth = as_count("depth", depth, 2)
        U, s, V = np.linalg.svd(
            np.asarray(as_rows(matrix, "matrix"), np.float64), full_matrices=False
        )
        root = s ** (1 / depth)
        return cls([root[:, None] * V, *[np.diag(root)] * (depth - 2), U * root])

    def __repr__(self) -> str:
        sizes = [self.weights[0].shape[1], *(len(W) for W in self.weights)]
        return f"LinearNetwork({' -> '.join(map(str, sizes))})"

    @cached_property
    def matrix(self) -> Array:
        """P = W_L ... W_1."""
        return reduce(lambda P, W: W @ P, self.weights)

    @cached_property
    def tangent_metric(self) -> Array:
        """M of the tangent kernel."""
        return np.asarray(sum(F.T @ F for F in self._factors()))

    def __call__(self, X: ArrayLike) -> Array:
        """Outputs, shape (n_samples, C), of rows (n_samples, d0)."""
        return np.asarray(self._rows(X) @ self.matrix.T)

    def ntk(self, X: ArrayLike, Z: ArrayLike | None = None) -> Array:
        """The tangent kernel, the mean over outputs, shape (n_samples, m_samples); Z is X by
        default.
        """
        features = self.tangent_features(X)
        return np.asarray(features @ (features if Z is None else self.tangent_features(Z)).T)

    def tangent_features(self, X: ArrayLike) -> Array:
        """Features whose inner products are the tangent kernel, for `nc1fast.collapse` and
        `alignment`.

        Parameters
        ----------
        X : array-like of shape (n_samples, d0)

        Returns
        -------
        ndarray of shape (n_samples, d0 + n_1 + ... + n_{L-1})
            |B_l| F_l x/sqrt(C) of every layer.
        """
        rows = self._rows(X)
        return np.concatenate([rows @ F.T for F in self._factors()], axis=1)

    @reads_files("X", labels="targets", in_memory=True)
    def gradient_flow(
        self,
        X: ArrayLike,
        targets: ArrayLike,
        *,
        time: float,
        until: float = 0.0,
        tolerance: float = 1e-8,
    ) -> LinearFlow:
        """Gradient flow of all weights on |f - targets|^2/(2 N C), for N samples and C outputs.

        Parameters
        ----------
        X : array-like of shape (n_samples, d0), or path
        targets : array-like of shape (n_samples,) or (n_samples, C), path, or part of the file X
        time : float
            At which it ends; in units of the learning rate times steps.
        until : float, default 0.0
            End earlier, once the excess of the loss over the least one of any linear map is this
            share of that at the start.
        tolerance : float, default 1e-8
            Of a step, relative to the weights.

        Returns
        -------
        LinearFlow

        Raises
        ------
        TypeError, ValueError, ImportError
            Without SciPy (extra "prediction"); where the steps become too short to go on.

        Notes
        -----
        Cost: each step a dozen products of all weights, and as much memory of the trajectory as
        seven times the weights; steps of about 1/lambda_max, longer where the weights are small.
        Accuracy: that of an explicit Runge-Kutta pair of order 8; W_{l+1}^T W_{l+1} - W_l W_l^T,
        which the flow conserves, shows it.
        """
        rows = self._rows(X)
        Y = np.asarray(targets, dtype=np.float64)
        Y = Y[:, None] if Y.ndim == 1 else Y
        if Y.shape != (len(rows), len(self.matrix)) or not np.isfinite(Y).all():
            raise ValueError(
                f"targets must be finite, of shape ({len(rows)}, {len(self.matrix)}), got {Y.shape}"
            )
        end = as_number("time", time, above=0)
        share = as_number("until", until, least=0, below=1)
        allowed = as_number("tolerance", tolerance, above=0, below=1)
        return _WeightFlow(self, rows, Y).solved(end, share, allowed)

    def _rows(self, X: ArrayLike) -> Array:
        rows = np.asarray(as_rows(X), dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.weights[0].shape[1]:
            raise ValueError(
                f"X must have shape (n_samples, {self.weights[0].shape[1]}), got {rows.shape}"
            )
        return rows

    def _factors(self) -> list[Array]:
        """|B_l| F_l/sqrt(C) of every layer, (n_{l-1}, d0); their Gram matrices add up to the
        metric.
        """
        forward, backward = _around(self.weights)
        root = math.sqrt(len(self.matrix))
        return [float(np.linalg.norm(B)) / root * F for F, B in zip(forward, backward, strict=True)]


def _around(weights: Sequence[Array]) -> tuple[list[Array], list[Array]]:
    """F_l, the product of the layers before l, and B_l, that of those behind it, for each layer."""
    first, last = weights[0].shape[1], len(weights[-1])
    forward = list(itertools.accumulate(weights[:-1], lambda F, W: W @ F, initial=np.eye(first)))
    backward = list(
        itertools.accumulate(reversed(weights[1:]), lambda B, W: B @ W, initial=np.eye(last))
    )
    return forward, backward[::-1]


class _WeightFlow:
    """The flow as an ordinary differential equation of all weights in one vector."""

    def __init__(self, start: LinearNetwork, X: Array, Y: Array) -> None:
        self.start, self.shapes = start, [W.shape for W in start.weights]
        self.ends = np.cumsum([rows * columns for rows, columns in self.shapes])[:-1]
        self.S, self.R = X.T @ X / Y.size, Y.T @ X / Y.size
        self.best = np.linalg.lstsq(X, Y, rcond=None)[0].T

    def weights(self, flat: Array) -> list[Array]:
        parts = np.split(flat, self.ends)
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def slope(self, time: float, flat: Array) -> Array:
        del time
        weights = self.weights(flat)
        forward, backward = _around(weights)
        G = self.R - weights[-1] @ forward[-1] @ self.S
        return np.concatenate(
            [(B.T @ G @ F.T).ravel() for F, B in zip(forward, backward, strict=True)]
        )

    def excess(self, flat: Array) -> float:
        """Loss above the least one, |(P - P*) S^1/2|^2/2, without a difference of losses."""
        error = reduce(lambda P, W: W @ P, self.weights(flat)) - self.best
        return float(np.sum(error @ self.S * error)) / 2

    def solved(self, time: float, until: float, tolerance: float) -> LinearFlow:
        solve_ivp = require("scipy.integrate", "prediction").solve_ivp
        flat = np.concatenate([W.ravel() for W in self.start.weights])
        low = until * self.excess(flat)

        def reached(time: float, flat: Array) -> float:
            del time
            return self.excess(flat) - low

        reached.terminal = True  # type: ignore[attr-defined]
        size = float(np.sqrt(np.mean(flat**2)))
        found = solve_ivp(
            self.slope,
            (0.0, time),
            flat,
            method="DOP853",
            dense_output=True,
            events=[reached] if low > 0 else None,
            rtol=max(tolerance, 1e-13),
            atol=tolerance * size if size else tolerance,
        )
        if found.status < 0:
            raise ValueError(f"the flow stopped at time {found.t[-1]:.3g}: {found.message}")
        return LinearFlow(self, found.sol, float(found.t[-1]))


@dataclass(frozen=True, eq=False, repr=False)
class LinearFlow:
    """The trajectory of a linear network along gradient flow, at any time from 0 to its end.

    Attributes
    ----------
    end : float
        The time at which it ends.
    best : ndarray of shape (C, d0)
        The linear map of least loss, the shortest one where there are several.
    """

    _problem: _WeightFlow
    _course: Any
    end: float

    @property
    def best(self) -> Array:
        """The linear map of least loss."""
        return np.asarray(self._problem.best)

    def at(self, time: float) -> LinearNetwork:
        """The network at a time."""
        return LinearNetwork(self._problem.weights(self._flat(time)))

    def excess(self, time: float) -> float:
        """The loss |f - targets|^2/(2 N C) at a time, less the least one."""
        return self._problem.excess(self._flat(time))

    def time_of(self, fallen: float) -> float:
        """When the excess of the loss has fallen by that share of what it was at the start.

        Parameters
        ----------
        fallen : float
            From 0 to 1.

        Raises
        ------
        ValueError
            For a share that it does not reach.

        Notes
        -----
        The loss never rises along the flow, so that there is one such time; found by Brent's method
        on the interpolated trajectory.
        """
        share = as_number("fallen", fallen, least=0, most=1)
        level = (1 - share) * self.excess(0.0)
        if share == 0:
            return 0.0
        if self.excess(self.end) > level:
            raise ValueError(f"the loss has not fallen by {share:g} at the end, {self.end:.3g}")
        brentq = require("scipy.optimize", "prediction").brentq
        return float(brentq(lambda t: self.excess(t) - level, 0.0, self.end, xtol=1e-10))

    def _flat(self, time: float) -> Array:
        return np.asarray(self._course(as_number("time", time, least=0, most=self.end)))
