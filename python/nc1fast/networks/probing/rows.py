"""The second pass: rows about the class means, which the first has found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.metrics.rows import MeanGeometry, RowStatistics
from nc1fast.networks.probing.moments import widened
from nc1fast.support.extras import require

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from nc1fast.metrics.classifiers import Classifier
    from nc1fast.networks.probing.pooling import RowClasses

    Array = NDArray[np.float64]
else:
    torch = require("torch", "torch")

_MOVED = 1e-4  # what the mean deviation of the second pass may be, in standard deviations within classes,
_NOISE = 1e-5  # and of the longest mean: float32 sums of a device may differ from pass to pass


@dataclass(frozen=True, eq=False)
class ClassMeans:
    """The findings of the first pass that the second takes.

    Attributes
    ----------
    means : ndarray of shape (n_classes, n_features)
    sizes : ndarray of int64 of shape (n_classes,)
    variance : float
        Mean squared distance of a row from the mean of its class.
    classifier : Classifier or None
        Whose decisions are compared with the nearest means.
    """

    means: Array
    sizes: NDArray[np.int64]
    variance: float
    classifier: Classifier | None = None


class DeviceRows:
    """Scatter about the class means and nearest means, on the device of the features.

    Deviations h - mu_y are exact to a rounding. With z_k the centred class means, the squared distance of h from mu_k is, but for
    a number that is the same for all k, |z_k|^2 - 2 <h - mu_y + z_y, z_k>.
    """

    def __init__(self, known: ClassMeans, device: torch.device) -> None:
        means, sizes = known.means, known.sizes
        C, d = means.shape
        Z, squares, self.exponent = geometry = MeanGeometry.of(means)

        def there(A: Array) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(A)).to(device)

        self.known = known
        self.means, self.Z, self.squares = there(means), there(Z), there(squares)
        self.small = geometry.by_features  # scatter in the features, else between class means
        self.gram = None if self.small else self.Z @ self.Z.T  # (C, C) where that is less than C d
        self.balanced = bool((sizes == sizes[0]).all())
        self.weight = there(1 / (C * sizes))
        side = min(C, d)
        self.by_sample, self.by_class = (
            torch.zeros(side, side, dtype=torch.float64, device=device) for _ in range(2)
        )
        self.sum = torch.zeros(d, dtype=torch.float64, device=device)
        self.counts = torch.zeros(C, dtype=torch.int64, device=device)
        self.hits, self.agreed = (torch.zeros((), dtype=torch.int64, device=device) for _ in "ha")
        self.nearest: list[NDArray[np.int64]] = []
        self.decide = None
        if known.classifier is not None:
            self.decide = there(known.classifier.W.T), there(known.classifier.b)

    @staticmethod
    def bytes_needed(n_classes: int, n_features: int) -> int:
        """Bytes of means and sums, without the pieces that are widened and 8 a row for the nearest means."""
        return 8 * (2 * n_classes * n_features + 3 * min(n_classes, n_features) ** 2)

    def update(self, H: torch.Tensor, rows: RowClasses) -> None:
        """Add features (n, d) of these classes."""
        if not len(H):
            return
        codes = rows.on(H.device)["codes"]
        found = []
        for part, wide in widened(H, len(self.means)):
            own = codes[part]
            decided = None if self.decide is None else wide @ self.decide[0] + self.decide[1]
            D = wide.sub_(self.means[own])
            self.sum += D.sum(dim=0)
            if self.gram is None:
                S = D
                toward = (D + self.Z[own]) @ self.Z.T  # (m, C)
            else:
                q = D @ self.Z.T  # (m, C)  <h - mu_y, z_k>
                S, toward = q * math.ldexp(1.0, -self.exponent), q + self.gram[own]
            closest = (self.squares - 2 * toward).argmin(dim=1)
            self.hits += (closest == own).sum()
            if decided is not None:
                self.agreed += (decided.argmax(dim=1) == closest).sum()
            found.append(closest)
            self.by_sample += S.T @ S
            if not self.balanced:
                self.by_class += S.T @ (S * self.weight[own][:, None])
        self.counts += torch.bincount(codes, minlength=len(self.counts))
        self.nearest.append(torch.cat(found).cpu().numpy())

    def agreement(self) -> float | None:
        """Fraction of the rows whose decision is their nearest mean; None without a classifier."""
        return None if self.decide is None else int(self.agreed) / int(self.counts.sum())

    def statistics(self) -> RowStatistics:
        """The digest of all rows.

        Raises
        ------
        ValueError
            If the rows are not those of the first pass.
        """
        known, N = self.known, int(self.known.sizes.sum())
        moved = float(self.sum.norm()) / N
        longest = float(np.sqrt(np.square(known.means).sum(axis=1).max()))
        same = np.array_equal(self.counts.cpu().numpy(), known.sizes)
        if not (same and moved <= _MOVED * math.sqrt(known.variance) + _NOISE * longest):
            raise ValueError(
                "the second pass must see the rows of the first, but data gave others: passes=1 needs one"
            )
        by_sample = self.by_sample.cpu().numpy() / N
        by_class = by_sample if self.balanced else self.by_class.cpu().numpy()
        nearest, accuracy = np.concatenate(self.nearest), int(self.hits) / N
        return RowStatistics(by_sample, by_class, nearest, accuracy, self.exponent, self.small)
