"""NC1 from random features: hidden units of one random hidden layer, each an unbiased sample of the kernel.

    Q(x, z)  = E_w phi(w.x) phi(w.z),     Theta kdot = E_w <phi'(w.x) t(x), phi'(w.z) t(z)>,    Theta(x, z) = <t(x), t(z)>

so that class means and within-class variances of the units, averaged over w, are those of the kernel. Of the ReLU family,
phi(u) = odd u + even |u|, the odd part is a linear kernel and taken exactly: the units are |w.x|. X is read once per round, in
stretches of consecutive rows, one a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.estimators.directions import Directions, directions
from nc1fast.estimators.groups import Groups, UnitSample
from nc1fast.estimators.kinks import Separations
from nc1fast.estimators.moments import Moments, add_values, segments
from nc1fast.estimators.passes import joined, stretch, stretches
from nc1fast.estimators.units import PARITY, HiddenUnits
from nc1fast.inputs.arrays import rows_at
from nc1fast.kernels.one_layer import halves
from nc1fast.sums.memory import check_memory
from nc1fast.support.threads import ahead

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.estimators.estimate import Estimate
    from nc1fast.estimators.units import BlockMoments, UnitMoments
    from nc1fast.kernels.one_layer import OneLayer

_BLOCK_UNITS, _BLOCK_BYTES = 256, 1 << 25  # units of a block, and its moments
_STATE_BYTES = 1 << 27  # moments that are kept at a time, without a memory limit
_PROBE = 1 << 13  # rows from which the class means are taken that direct the weights


class FeatureSample(UnitSample):
    """Random hidden units in independent groups, in samples that are independent of those before.

    Parameters
    ----------
    X : ndarray or FileRows of shape (n_samples, n_features)
        As `as_rows` gives it; read in chunks of consecutive rows, and a file searched for NaN and Inf on the way.
    classes, labels
        As `as_labels` gives them.
    kernel : Kernel
    layer : OneLayer
        Of the kernel.
    n_units : int
        Of the first round, about.
    seed : int
    sampling : {"stratified", "orthogonal", "plain"}
    dtype : {"float64", "float32"}
        Of weights, products and activations; moments are merged in float64.
    n_threads : int, default 1
    memory_limit : float, optional
        Bytes beside X, y and what is about to be returned: where the moments of all units are more, X is read several
        times a round. The bits depend neither on it nor on the threads.

    Raises
    ------
    ValueError
        If the limit is below what one block of units needs.

    Notes
    -----
    Cost: 2 N m d0 flops for m units (NTK: 4), C m numbers (NTK: C m d0).
    Accuracy: V_c and M_cc' are unbiased; 1/sqrt(m) of what the stratification leaves. float32 costs 1e-6 relative.
    Source: Neal (1996); Rahimi & Recht (2007).
    """

    def __init__(
        self,
        X: Any,
        classes: NDArray[np.int32],
        labels: NDArray[Any],
        kernel: Any,
        layer: OneLayer,
        *,
        n_units: int,
        seed: int,
        sampling: str = "stratified",
        dtype: str = "float64",
        n_threads: int = 1,
        memory_limit: float | None = None,
    ) -> None:
        self._X, self._classes, self._labels, self._kernel = X, classes, labels, kernel
        self._layer = layer
        self._sizes = np.bincount(classes, minlength=len(labels)).astype(np.int64)
        pair = halves(layer.activation)
        odd, even = (0.0, 1.0) if pair is None else (pair[0] ** 2, pair[1] ** 2)
        self._units = HiddenUnits(
            layer,
            layer.activation if pair is None else "abs",
            int((X if layer.factor is None else layer.factor).shape[1]),
            np.dtype(dtype),
        )
        self._sampled = even
        self._linear = odd * (layer.value * layer.weight + layer.tangent * layer.theta_weight)
        self._constant = odd * (layer.value * layer.bias + layer.tangent * layer.theta_bias)
        self._constant += layer.constant
        self._rows_moments: Moments | None = None  # of the rows, for the linear part
        self._kinks: Separations | None = None
        self._directions = self._directed(n_units, sampling, seed)
        self._stretch = stretch(len(X), self._units.chunk(X.shape[1]))
        self._threads = min(n_threads, -(-len(X) // self._stretch))
        self._step, self._at_once = self._plan(memory_limit)
        self._groups, self._drawn = Groups(self._sizes), 0

    def _directed(self, n_units: int, sampling: str, seed: int) -> Directions:
        """Along the class means of some rows, evenly spread over X, whose angles are noted."""
        probe = np.arange(0, len(self._X), max(1, len(self._X) // _PROBE))
        means = Moments(len(self._labels), self._units.width)
        kinks = Separations(len(self._labels))
        step = self._units.chunk(self._X.shape[1])
        for start in range(0, len(probe), step):
            index = probe[start : start + step]
            order, parts = segments(self._classes[index])
            x = self._layer.rows(rows_at(self._X, index))[order]
            z = self._units.inputs(x)
            kinks.add(z, parts)
            add_values(means, z, parts)
        if self._layer.tangent and halves(self._layer.activation) is not None:
            self._kinks = kinks
        means_of = means.mean[means.n > 0]
        even = self._units.activation in PARITY
        return directions(self._units.width, means_of, n_units, sampling, seed, even=even)

    def _plan(self, limit: float | None) -> tuple[int, int]:
        """Groups of a block, and blocks of a pass over X: as many as the memory has room for."""
        n_classes, group, threads = len(self._labels), self._directions.group, self._threads
        unit = self._units.bytes_of_unit(n_classes)
        step = max(1, min(_BLOCK_UNITS, _BLOCK_BYTES // unit) // group)
        chunk = min(self._stretch, self._units.chunk(self._X.shape[1]))
        # The total, what is merged into it, and that of each stretch on its way: see `workers`.
        block = unit * step * group * (2 + ahead(threads))
        least = {
            "the labels": 4 * len(self._classes),
            "rows and units": threads
            * self._units.bytes_of_chunk(chunk, self._X.shape[1], step * group),
            "drawing weights": 32 * group * self._units.width,
            "class pairs": 192 * n_classes**2,
            "moments": block,
        }
        check_memory(limit, least)
        room = _STATE_BYTES if limit is None else limit - sum(least.values())
        return step, 1 + max(0, int(room // block))

    @property
    def size(self) -> int:
        """Hidden units that the estimate is made of."""
        return len(self._groups) * self._directions.group

    @property
    def spent(self) -> int:
        """Hidden units drawn so far."""
        return self._drawn * self._directions.group

    def draw(self, plan: int) -> None:
        """About `plan` units, at least two groups, in place of those before."""
        first, count = self._drawn, max(2, round(plan / self._directions.group))
        self._drawn += count
        self._groups = Groups(self._sizes)
        pass_groups = self._step * self._at_once
        for start in range(first, first + count, pass_groups):
            self._add(range(start, min(start + pass_groups, first + count)))

    def _add(self, groups: range) -> None:
        """One pass over X for these groups."""
        weights = []
        for start in range(groups.start, groups.stop, self._step):
            drawn = range(start, min(start + self._step, groups.stop))
            block = np.concatenate([self._directions.draw(i) for i in drawn])
            weights.append(block.astype(self._units.dtype))

        def moments(rows: range) -> UnitMoments:
            return self._units.moments(
                self._X,
                self._classes,
                len(self._labels),
                weights,
                rows,
                linear=self._linear > 0 and self._rows_moments is None,
            )

        total: UnitMoments = joined(moments, stretches(len(self._X), self._stretch), self._threads)
        self._rows_moments = self._rows_moments or total.rows
        for moments_of_block in total.blocks:
            self._finish(moments_of_block)

    def _finish(self, block: BlockMoments) -> None:
        """V, and of M what any convention asks for, of each group of a block."""
        layer, group, n_classes = self._layer, self._directions.group, len(self._labels)
        n_groups = block.values.mean.shape[1] // group
        parts = [(layer.value, block.values)]
        if block.tangents is not None:
            parts.append((layer.tangent, block.tangents))
        if block.slopes is not None:
            parts.append((layer.tangent * layer.theta_bias, block.slopes))
        units = np.zeros((n_classes, n_groups, group))  # what each adds to V of its group
        for coefficient, moments in parts:
            squares = moments.squares / self._sizes[:, None]
            units += self._sampled * coefficient / group * squares.reshape(units.shape)
        V = units.sum(axis=2).T.copy()  # (n_groups, n_classes)
        M = np.full((n_classes, n_classes), self._constant)
        if self._rows_moments is not None:
            V += self._linear * self._rows_moments.squares.sum(axis=1) / self._sizes
            M += self._linear * matmul(self._rows_moments.mean, self._rows_moments.mean.T)
        for g in range(n_groups):
            own = M.copy()
            for coefficient, moments in parts:
                means = moments.mean[:, g * group : (g + 1) * group].reshape(n_classes, -1)
                own += self._sampled * coefficient / group * matmul(means, means.T)
            self._groups.add(V[g], own, units[:, g])

    def estimate(self) -> Estimate:
        """The estimate of the last units drawn."""
        reason = f"{self.size:,} random hidden units"
        return self._groups.estimate(self._labels, self._kernel, reason, self.size, self._kinks)
