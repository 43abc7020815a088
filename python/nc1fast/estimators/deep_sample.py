"""NC1 of deep kernels from independent draws of their random features, each applied to all rows in
one pass.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import SCRATCH, matmul
from nc1fast.estimators.class_moments import ClassMoments, add_values, merged, sorted_chunks
from nc1fast.estimators.deep_map import DeepMap, Design, check_deep, deep_map
from nc1fast.estimators.unit_groups import SignChanges, UnitSample, unit_dtype
from nc1fast.support.threads import ahead, workers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.estimators.accuracy import Sampling
    from nc1fast.estimators.estimate import Estimate
    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.sums.settings import Settings

    Array = NDArray[Any]

DEFAULT_UNITS = 8192
_GROUP_UNITS = 1024  # hidden units of a map, where a sample has more than 8 times as many
_NARROWEST = 32  # units of a layer, at least
_PROBE = 512  # rows whose class means direct the weights
_CHUNK_NUMBERS = 1 << 19  # of features at a time
_COPIES = 8  # of them, while they are made


class DeepSample(UnitSample):
    """Independent maps of random features; each draw is independent of those before.

    Parameters
    ----------
    data : LabelledData
        Rows are read in chunks of consecutive ones; those of a file are searched for NaN and Inf on
        the way.
    kernel : ConjugateKernel, NNGP or NTK
        Of the ReLU family, of any depth.
    sampling : Sampling
        With the approximate number of hidden units of the first sample, all layers and groups
        together (default 8,192).
    settings : Settings
        dtype: of weights and features, float32 or else float64; moments are merged in float64.
        memory_limit: bytes beside X, y and the result; where the moments of all maps take more, X
        is read several times per sample. The bits depend neither on it nor on the threads.

    Raises
    ------
    TypeError, ValueError
        For another kernel, and a memory limit below what one map needs.

    Notes
    -----
    Cost: for L - 1 layers of m units in each of 8 groups, 8 N m (L - 1) (2 d0 + L m) flops, and C m
    (L - 1) numbers (NTK: twice).
    Accuracy: the spread of the groups, and a bias of order 1/m that the interval allows for
    (`Estimate`).
    Source: Zandieh et al. (2021).
    """

    fewest_groups = 8

    def __init__(
        self, data: LabelledData, kernel: Any, sampling: Sampling, settings: Settings
    ) -> None:
        check_deep(kernel)
        n_units, self._hidden = sampling.n_terms or DEFAULT_UNITS, int(kernel.depth - 1)
        groups = max(self.fewest_groups, round(n_units / _GROUP_UNITS))
        width = max(_NARROWEST, n_units // (groups * self._hidden))
        self.group_units = width * self._hidden
        # the row, a one, and for each layer |u| and, for an NTK, sign(u) S g
        kinds = 2 if kernel.is_tangent else 1
        n_columns = data.n_features + 1 + kinds * self.group_units
        self._chunk = max(1, min(data.n_samples, _CHUNK_NUMBERS // n_columns))
        super().__init__(data, kernel, self._chunk, settings)
        self._seed = sampling.seed
        self._design = Design(width, sampling.scheme, unit_dtype(settings))
        self.pass_groups = self._groups_at_once(n_columns)
        probe = np.arange(0, data.n_samples, -(-data.n_samples // _PROBE))
        ((rows, self._probe_classes),) = sorted_chunks(data, probe, len(probe))
        self._probe = rows.astype(np.float64)
        self._changes = self._sign_changes() if kernel.is_tangent else None

    def _sign_changes(self) -> SignChanges:
        """Angles between rows of the probe, as the units of the first layer meet them."""
        w = self._kernel.weight_variances[0] / self._data.n_features
        bias = np.full(len(self._probe), math.sqrt(self._kernel.bias_variances[0]))
        changes = SignChanges(len(self._data.classes))
        z = np.column_stack([math.sqrt(w) * self._probe, bias])
        changes.add(z, self._probe_classes)
        return changes

    def _groups_at_once(self, columns: int) -> int:
        """Maps of a pass over X: as many as the memory has room for."""
        data, item = self._data, self._design.dtype.itemsize
        n_classes, width = len(data.classes), self._design.width
        weights: int = self.group_units * columns * item
        group: int = weights + 16 * n_classes * columns * (2 + ahead(self._threads))
        drawn = 8 * columns * (4 * width + _COPIES * min(_PROBE, data.n_samples))
        needed: dict[str, int] = {
            "the labels": 4 * data.n_samples,
            "rows and features": self._threads * (self._chunk * columns * _COPIES * item + SCRATCH),
            "drawing weights": self._threads * drawn,
            "class pairs": 192 * n_classes**2,
            "weights and moments": group,
        }
        return self._states(needed, group)

    def _means(self, H: Array) -> Array:
        """Class means (k, m) of features H (n, m) of the probe."""
        sums = np.add.reduceat(H, self._probe_classes.starts, axis=0)
        return np.asarray(sums / self._probe_classes.counts[:, None].astype(H.dtype))

    def _map(self, group: int) -> DeepMap:
        return deep_map(self._kernel, self._probe, self._means, self._design, (self._seed, group))

    def add(self, groups: range) -> None:
        """Make one pass over X for these groups."""
        with workers(self._threads) as in_order:
            maps: list[DeepMap] = list(in_order(self._map, groups))

        def moments(rows: range) -> list[ClassMoments]:
            own = [ClassMoments(len(self._data.classes), of.n_features) for of in maps]
            for x, parts in sorted_chunks(self._data, rows, self._chunk):
                for of, features in zip(own, maps, strict=True):
                    add_values(of, features(x), parts)
            return own

        total = merged(moments, self._ranges, self._threads)
        for of, features in zip(total, maps, strict=True):
            units = of.squares / of.n[:, None]
            M = matmul(of.mean, of.mean.T, self._threads)
            self._groups.add(units.sum(axis=1), M, units[:, features.n_linear :])

    def estimate(self) -> Estimate:
        """Estimate from the maps drawn last."""
        reason = f"{self.size:,} random hidden units of {self._hidden} layers"
        n_units = len(self._groups) * self._design.width
        return self._groups.estimate(reason, n_units, self._changes, biased=True)
