"""NC1 of a kernel of one hidden layer from random features: each hidden unit is an unbiased sample
of the kernel.

    Q(x, z)  = E_w phi(w.x) phi(w.z),     Theta kdot = E_w <phi'(w.x) t(x), phi'(w.z) t(z)>,
        Theta(x, z) = <t(x), t(z)>

so that class means and within-class variances of the units, averaged over w, are those of the
kernel. In the ReLU family, phi(u) = odd u + even |u|, the odd part is a linear kernel and taken
exactly: the units are |w.x|. X is read once per sample, in ranges of consecutive rows, one a
thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.activations import traits
from nc1fast.core.linear import matmul
from nc1fast.estimators.class_moments import ClassMoments, add_values, merged, sorted_chunks
from nc1fast.estimators.directions import Directions, directions
from nc1fast.estimators.hidden_units import HiddenUnits
from nc1fast.estimators.unit_groups import SignChanges, UnitSample, unit_dtype
from nc1fast.support.threads import ahead

if TYPE_CHECKING:
    from nc1fast.estimators.accuracy import Sampling
    from nc1fast.estimators.estimate import Estimate
    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.kernels.classes import Kernel, OneLayer
    from nc1fast.sums.settings import Settings

DEFAULT_UNITS = 1024
_BLOCK_UNITS, _BLOCK_BYTES = 256, 1 << 25  # units of a block, and the bytes of its moments, at most
_PROBE = 1 << 13  # rows whose class means direct the weights


class ShallowSample(UnitSample):
    """Random hidden units of one layer; each draw is independent of those before.

    Parameters
    ----------
    data : LabelledData
        Rows are read in chunks of consecutive ones; those of a file are searched for NaN and Inf on
        the way.
    kernel : Kernel
    layer : OneLayer
        The same kernel, written out.
    sampling : Sampling
        With the number of units of the first sample, which sets the size of a group.
    settings : Settings
        dtype: of weights, products and activations, float32 or else float64; moments are merged in
        float64. memory_limit: bytes beside X, y and the result; where the moments of all units take
        more, X is read several times per sample. The bits depend neither on it nor on the threads.

    Raises
    ------
    ValueError
        If the memory limit is below what one block of units needs.

    Notes
    -----
    Cost: 2 N m d0 flops for m units (NTK: 4), C m numbers (NTK: C m d0).
    Accuracy: V_c and M_cc' are unbiased; their errors are 1/sqrt(m) of what the stratification
    leaves. float32 costs 1e-6 relative.
    Source: Neal (1996); Rahimi & Recht (2007).
    """

    def __init__(
        self,
        data: LabelledData,
        kernel: Kernel,
        layer: OneLayer,
        sampling: Sampling,
        settings: Settings,
    ) -> None:
        super().__init__(data, kernel, HiddenUnits.chunk(data.n_features), settings)
        self._layer = layer
        pair = traits(layer.activation).halves
        odd, even = (0.0, 1.0) if pair is None else (pair[0] ** 2, pair[1] ** 2)
        self._units = HiddenUnits(
            layer,
            layer.activation if pair is None else "abs",
            data.n_features if layer.factor is None else int(layer.factor.shape[1]),
            unit_dtype(settings),
        )
        self._coefficients = [even * coefficient for coefficient in self._units.coefficients]
        self._linear = odd * (layer.value * layer.weight + layer.tangent * layer.theta_weight)
        self._constant = odd * (layer.value * layer.bias + layer.tangent * layer.theta_bias)
        self._constant += layer.constant
        self._rows_moments: ClassMoments | None = None  # of the rows, for the linear part
        changes = SignChanges(len(data.classes))
        self._directions = self._directed(sampling, changes)
        self._changes = changes if layer.tangent and pair is not None else None
        self.group_units = self._directions.group
        self._block_groups, self.pass_groups = self._groups_at_once()

    def _directed(self, sampling: Sampling, changes: SignChanges) -> Directions:
        """Weights along the class means of some rows, evenly spread over X; their angles go to
        `changes`.
        """
        data, units = self._data, self._units
        probe = np.arange(0, data.n_samples, max(1, data.n_samples // _PROBE))
        means = ClassMoments(len(data.classes), units.width)
        for X, parts in sorted_chunks(data, probe, units.chunk(data.n_features)):
            z = units.inputs(self._layer.rows(X))
            changes.add(z, parts)
            add_values(means, z, parts)
        return directions(
            units.width,
            means.mean[means.n > 0],
            sampling.n_terms or DEFAULT_UNITS,
            sampling.scheme,
            sampling.seed,
            even=traits(units.activation).parity != 0,
        )

    def _groups_at_once(self) -> tuple[int, int]:
        """Groups of a block, and groups of a pass over X: as many as the memory has room for."""
        data, group, threads = self._data, self.group_units, self._threads
        n_classes = len(data.classes)
        unit = self._units.bytes_of_unit(n_classes)
        step = max(1, min(_BLOCK_UNITS, _BLOCK_BYTES // unit) // group)
        chunk = self._units.chunk(data.n_features)
        # The total, what is merged into it, and the moments of each range that waits for its turn.
        block = unit * step * group * (2 + ahead(threads))
        needed = {
            "the labels": 4 * data.n_samples,
            "rows and units": threads
            * self._units.bytes_of_chunk(chunk, data.n_features, step * group),
            "drawing weights": 32 * group * self._units.width,
            "class pairs": 192 * n_classes**2,
            "moments": block,
        }
        return step, step * self._states(needed, block)

    def add(self, groups: range) -> None:
        """Make one pass over X for these groups."""
        weights = []
        for start in range(groups.start, groups.stop, self._block_groups):
            drawn = range(start, min(start + self._block_groups, groups.stop))
            block = np.concatenate([self._directions.draw(i) for i in drawn])
            weights.append(block.astype(self._units.dtype))
        linear = self._linear > 0 and self._rows_moments is None

        def moments(rows: range) -> list[ClassMoments]:
            return self._units.moments(self._data, rows, weights, linear=linear)

        total = merged(moments, self._ranges, self._threads)
        if linear:
            self._rows_moments = total.pop()
        kinds = len(self._coefficients)
        for start in range(0, len(total), kinds):
            self._finish(total[start : start + kinds])

    def _finish(self, block: list[ClassMoments]) -> None:
        """Turn the moments of a block into V and M of each of its groups."""
        group, sizes = self.group_units, self._data.classes.sizes
        n_classes, n_groups = len(sizes), block[0].mean.shape[1] // group
        parts = list(zip(self._coefficients, block, strict=True))
        units = np.zeros((n_classes, n_groups, group))  # what each adds to V of its group
        for coefficient, moments in parts:
            squares = moments.squares / sizes[:, None]
            units += coefficient / group * squares.reshape(units.shape)
        V = units.sum(axis=2).T.copy()  # (n_groups, n_classes)
        M = np.full((n_classes, n_classes), self._constant)
        if self._rows_moments is not None:
            V += self._linear * self._rows_moments.squares.sum(axis=1) / sizes
            M += self._linear * matmul(self._rows_moments.mean, self._rows_moments.mean.T)
        for g in range(n_groups):
            own = M.copy()
            for coefficient, moments in parts:
                means = moments.mean[:, g * group : (g + 1) * group].reshape(n_classes, -1)
                own += coefficient / group * matmul(means, means.T)
            self._groups.add(V[g], own, units[:, g])

    def estimate(self) -> Estimate:
        """Estimate from the units drawn last."""
        reason = f"{self.size:,} random hidden units"
        return self._groups.estimate(reason, self.size, self._changes)
