"""NC1 of deep kernels from independent draws of their random features, each of a pass over the rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import SCRATCH, matmul
from nc1fast.estimators.deep import DeepMap, check_deep, deep_map
from nc1fast.estimators.directions import check_sampling
from nc1fast.estimators.groups import Groups, UnitSample
from nc1fast.estimators.kinks import Separations
from nc1fast.estimators.moments import Moments, add_values, segments
from nc1fast.estimators.passes import joined, stretch, stretches
from nc1fast.inputs.arrays import rows_at
from nc1fast.kernels.classes import NTK
from nc1fast.sums.memory import check_memory
from nc1fast.support.threads import ahead, workers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.estimators.estimate import Estimate

    Array = NDArray[Any]

GROUPS, GROUP_UNITS = 8, 1024  # maps at least; hidden units of one, where there may be more maps
_NARROWEST = 32  # units of a layer
_PROBE = 512  # rows whose class means direct the weights
_CHUNK_NUMBERS = 1 << 19  # of features at a time
_COPIES = 8  # of them, while they are made
_STATE_BYTES = 1 << 27  # moments that are kept at a time, without a memory limit


class _MapMoments:
    """Moments of the features of some maps."""

    def __init__(self, of: list[Moments]) -> None:
        self.of = of

    def join(self, other: _MapMoments) -> None:
        """Merge those of the same maps over other rows."""
        for mine, theirs in zip(self.of, other.of, strict=True):
            mine.merge(theirs)


class DeepSample(UnitSample):
    """Independent maps of random features, in samples that are independent of those before.

    Parameters
    ----------
    X, classes, labels, seed, sampling, dtype, n_threads, memory_limit
        As `FeatureSample`.
    kernel : ConjugateKernel, NNGP or NTK
        Of the ReLU family, of any depth.
    n_units : int
        Hidden units in all layers and groups of the first round, about.

    Raises
    ------
    ValueError
        For another kernel, and a limit below what one map needs.

    Notes
    -----
    Cost: for L - 1 layers of m units in each of 8 groups, 8 N m (L - 1) (2 d0 + L m) flops, and C m (L - 1) numbers
    (NTK: twice).
    Accuracy: the spread of groups, and a bias of order 1/m that the interval allows for (`Estimate`).
    Source: Zandieh et al. (2021).
    """

    def __init__(
        self,
        X: Any,
        classes: NDArray[np.int32],
        labels: NDArray[Any],
        kernel: Any,
        *,
        n_units: int,
        seed: int,
        sampling: str = "stratified",
        dtype: str = "float64",
        n_threads: int = 1,
        memory_limit: float | None = None,
    ) -> None:
        check_deep(kernel)
        check_sampling(sampling)
        self._X, self._classes, self._labels, self._kernel = X, classes, labels, kernel
        self._seed, self._sampling = seed, sampling
        self._dtype = np.dtype(dtype)
        self._hidden: int = kernel.depth - 1
        hidden = self._hidden
        groups = max(GROUPS, round(n_units / GROUP_UNITS))
        self._width: int = max(_NARROWEST, n_units // (groups * hidden))
        # the rows, a one, and of each layer |u| and, for an NTK, sign(u) S g
        kinds = 2 if isinstance(kernel, NTK) else 1
        self._n_columns: int = X.shape[1] + 1 + kinds * hidden * self._width
        self._chunk = max(1, min(len(X), _CHUNK_NUMBERS // self._n_columns))
        self._stretch = stretch(len(X), self._chunk)
        self._threads = min(n_threads, -(-len(X) // self._stretch))
        self._sizes = np.bincount(classes, minlength=len(labels)).astype(np.int64)
        self._groups, self._drawn = Groups(self._sizes), 0
        self._at_once = self._plan(memory_limit)
        probe = np.arange(0, len(X), -(-len(X) // _PROBE))
        order, self._probe_classes = segments(classes[probe])
        self._probe = rows_at(X, probe)[order].astype(np.float64)
        self._kinks: Separations | None = None
        if isinstance(kernel, NTK):
            w, b = kernel.weight_variances[0] / X.shape[1], kernel.bias_variances[0]
            self._kinks = Separations(len(labels))
            bias = np.full(len(self._probe), math.sqrt(b))
            z = np.column_stack([math.sqrt(w) * self._probe, bias])
            self._kinks.add(z, self._probe_classes)

    def _plan(self, limit: float | None) -> int:
        """Maps of a pass over X: as many as the memory has room for."""
        n_classes, hidden, columns = len(self._labels), self._hidden, self._n_columns
        item = self._dtype.itemsize
        weights: int = hidden * self._width * columns * item
        group: int = weights + 16 * n_classes * columns * (2 + ahead(self._threads))
        drawn = 8 * columns * (4 * self._width + _COPIES * min(_PROBE, len(self._X)))
        least: dict[str, int] = {
            "the labels": 4 * len(self._classes),
            "rows and features": self._threads * (self._chunk * columns * _COPIES * item + SCRATCH),
            "drawing weights": self._threads * drawn,
            "class pairs": 192 * n_classes**2,
            "weights and moments": group,
        }
        check_memory(limit, least)
        room: float = _STATE_BYTES if limit is None else limit - sum(least.values())
        return 1 + max(0, int(room / group))

    def draw(self, plan: int) -> None:
        """About `plan` units, at least as many groups as an interval needs, in place of those before."""
        first, count = self._drawn, max(GROUPS, round(plan / (self._width * self._hidden)))
        self._drawn += count
        self._groups = Groups(self._sizes)
        for start in range(first, first + count, self._at_once):
            self._add(range(start, min(start + self._at_once, first + count)))

    def _means(self, H: Array) -> Array:
        """Class means of features of the probe."""
        sums = np.add.reduceat(H, self._probe_classes.starts, axis=0)
        return np.asarray(sums / self._probe_classes.counts[:, None].astype(H.dtype))

    def _map(self, group: int) -> DeepMap:
        return deep_map(
            self._kernel,
            self._probe,
            self._means,
            self._width,
            self._sampling,
            (self._seed, group),
            self._dtype,
        )

    def _add(self, groups: range) -> None:
        """One pass over X for these groups."""
        with workers(self._threads) as in_order:
            maps: list[DeepMap] = list(in_order(self._map, groups))

        def moments(rows: range) -> _MapMoments:
            own = _MapMoments([Moments(len(self._labels), of.n_features) for of in maps])
            for start in range(rows.start, rows.stop, self._chunk):
                chunk = slice(start, min(start + self._chunk, rows.stop))
                order, parts = segments(self._classes[chunk])
                x = rows_at(self._X, chunk)[order]
                for of, features in zip(own.of, maps, strict=True):
                    add_values(of, features(x), parts)
            return own

        total = joined(moments, stretches(len(self._X), self._stretch), self._threads)
        for of, features in zip(total.of, maps, strict=True):
            units = of.squares / of.n[:, None]
            self._groups.add(
                units.sum(axis=1),
                matmul(of.mean, of.mean.T, self._threads),
                units[:, features.n_linear :],
            )

    @property
    def size(self) -> int:
        """Hidden units that the estimate is made of."""
        return len(self._groups) * self._width * self._hidden

    @property
    def spent(self) -> int:
        """Hidden units drawn so far."""
        return self._drawn * self._width * self._hidden

    def estimate(self) -> Estimate:
        """The estimate of the last maps drawn."""
        reason = f"{self.size:,} random hidden units of {self._hidden} layers"
        n_units = len(self._groups) * self._width
        return self._groups.estimate(
            self._labels, self._kernel, reason, n_units, self._kinks, biased=True
        )
