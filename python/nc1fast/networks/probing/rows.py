"""The second pass: rows about the class means, which the first has found."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nc1fast.metrics.rows import MeanGeometry, RowStatistics, unit_exponent
from nc1fast.networks.probing.moments import add_gram, mirrored
from nc1fast.networks.probing.search import (
    LargestProduct,
    NearestOnHost,
    exponent_of,
    whole_float32,
)
from nc1fast.sums.moments import sum_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.metrics.classifiers import Classifier
    from nc1fast.networks.probing.outputs import RowClasses
    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

# Bound on the mean deviation of the second pass, in standard deviations within classes and in
# lengths of the longest mean: float32 sums of a device may differ from pass to pass.
_MOVED, _NOISE = 1e-4, 1e-5
_PRODUCTS = 1 << 23  # of rows and means in float64 at a time: 64 MiB
_SCORES = 1 << 24  # products of rows and means at a time: 64 MiB of float32
_ROWS = (128, 1024)  # but no fewer and no more
_MANY = 4  # rows of a class from which distances between means are worth their products,
_TRIED = 4096  # rows after which
_SHARE = 0.25  # of them must have lain within reach, or no more are looked at
_ROUNDING = 2.0**-20  # more than what float32 loses of a distance, relative to the lengths


class DeviceRows:
    """Scatter about the class means and nearest means, on the device of the features.

    Parameters
    ----------
    sums : ClassSums
        Of the first pass, with the class means.
    classifier : Classifier or None
        Whose decisions are compared with the nearest means.
    device : torch.device
    scatter : bool, default True
        Whether the scatter is added up.

    Notes
    -----
    Deviations h - mu_y are exact to a rounding. With z_k the class means about any point, the
    squared distance of h from mu_k is, but for a number that is the same for all k, |z_k|^2 - 2 <h
    - mu_y + z_y, z_k>. On the host nearest means come from products in float32, certified, unless
    the scatter needs <h - mu_y, z_k> in float64 anyway: for more features than classes.
    """

    def __init__(
        self,
        sums: ClassSums,
        classifier: Classifier | None,
        device: torch.device,
        *,
        scatter: bool = True,
    ) -> None:
        means, sizes = sums.means, sums.sizes
        assert means is not None
        C, d = means.shape
        self.sums, self.classifier, self.scatter = sums, classifier, scatter
        self.small = d <= C  # scatter in the features, else between class means
        self.exponent = unit_exponent(means)
        self.balanced = bool((sizes == sizes[0]).all())
        side = min(C, d) if scatter else 0
        self.by_sample, self.by_class = (
            torch.zeros(side, side, dtype=torch.float64, device=device) for _ in range(2)
        )
        self.sum = torch.zeros(d, dtype=torch.float64, device=device)
        self.counts = torch.zeros(C, dtype=torch.int64, device=device)
        self.hits: Any = 0
        self.agreed: Any = 0
        # One array, since many small ones among large ones that come and go fragment memory.
        self.nearest = np.empty(int(sizes.sum()), dtype=np.int64)
        self.n = 0  # rows so far
        self._waiting: tuple[torch.Tensor, torch.Tensor] | None = None  # for outputs: rows, means
        self.weight = torch.from_numpy(1 / (C * sizes)).to(device)
        self.means = torch.from_numpy(np.ascontiguousarray(means)).to(device)
        host = device.type == "cpu"
        self.search = _HostSearch(means, sizes, classifier) if host else None
        self.products: Any = None
        if not host or (scatter and not self.small):
            self.products = _Products(means, classifier, device, self.exponent)

    @staticmethod
    def bytes_needed(n_classes: int, n_features: int) -> int:
        """Bytes of means and sums, without the pieces that are widened and 8 a row for the nearest
        means.
        """
        return 8 * (2 * n_classes * n_features + 3 * min(n_classes, n_features) ** 2)

    def update(self, H: torch.Tensor, rows: RowClasses, *, outputs_follow: bool = False) -> None:
        """Add features (n, d) of these classes; `outputs_follow`: what the classifier makes of them
        comes to `compare`.
        """
        self.compare(None)
        if not len(H):
            return
        codes = rows.on(H.device, "codes")
        found = []
        for part in self._pieces(len(H)):
            own, piece = codes[part], H[part]
            closest = self._of_piece(piece, own)
            self.hits = self.hits + (closest == own).sum()
            if self.classifier is not None and not outputs_follow:
                self.agreed = self.agreed + (self._decided(piece) == closest).sum()
            found.append(closest)
        self.counts += torch.bincount(codes, minlength=len(self.counts))
        closest = torch.cat(found)
        end = self.n + len(closest)
        if end <= len(self.nearest):
            self.nearest[self.n : end] = closest.cpu().numpy()
        self.n = end
        self._waiting = (H, closest) if outputs_follow else None

    def compare(self, outputs: torch.Tensor | None) -> None:
        """Compare nearest means with the decisions of the last rows, from the outputs (n, C) of the
        classifier; None: from the rows.
        """
        if self._waiting is None:
            return
        H, closest = self._waiting
        self._waiting = None
        fits = outputs is not None and outputs.shape == (len(H), len(self.means))
        if self.search is not None and outputs is not None and fits:
            self.agreed = self.agreed + (self.search.decided_by(outputs, H) == closest).sum()
            return
        for part in self._pieces(len(H)):
            self.agreed = self.agreed + (self._decided(H[part]) == closest[part]).sum()

    def _pieces(self, n: int) -> Iterator[slice]:
        C, d = self.means.shape
        if self.search is None:
            step = max(1, _PRODUCTS // max(C, d))
        else:
            step = int(np.clip(_SCORES // max(C, d), *_ROWS))
        for start in range(0, n, step):
            yield slice(start, start + step)

    def _of_piece(self, H: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Nearest means of rows of these classes, which are added up."""
        D: Any = None
        if self.scatter or self.search is None:
            D = H.to(torch.float64, copy=True).sub_(self.means[own])
            self.sum += D.sum(dim=0)
        if self.search is not None and self.products is None:
            S, closest = D, self.search.of(H, own, D)
        else:
            S, closest = self.products.of(D, own)
        if self.scatter:
            add_gram(self.by_sample, S)
            if not self.balanced:
                add_gram(self.by_class, S, S * self.weight[own][:, None])
        return closest

    def _decided(self, H: torch.Tensor) -> torch.Tensor:
        """Decisions of the classifier about rows."""
        return (self.search or self.products).decided(H)

    def agreement(self) -> float | None:
        """Fraction of the rows whose decision is their nearest mean; None without a classifier."""
        if self.classifier is None:
            return None
        self.compare(None)
        return int(self.agreed) / int(self.counts.sum())

    def statistics(self) -> RowStatistics:
        """The digest of all rows.

        Raises
        ------
        ValueError
            If the rows are not those of the first pass.
        """
        sizes, N = self.sums.sizes, int(self.sums.sizes.sum())
        total = self.sum.cpu().numpy()
        if self.search is not None and not self.scatter:
            total = self.search.deviation()
        moved = math.sqrt(float(np.square(total / N).sum()))
        assert self.sums.means is not None
        longest = float(np.sqrt(np.square(self.sums.means).sum(axis=1).max()))
        variance = float(self.sums.within.sum()) / N  # of a row about the mean of its class
        same = np.array_equal(self.counts.cpu().numpy(), sizes)
        if not (same and moved <= _MOVED * math.sqrt(variance) + _NOISE * longest):
            raise ValueError(
                "the second pass must see the rows of the first, but data gave others: passes=1 "
                "needs one"
            )
        by_sample = by_class = None
        if self.scatter:
            by_sample = mirrored(self.by_sample).cpu().numpy() / N
            by_class = by_sample if self.balanced else mirrored(self.by_class).cpu().numpy()
        accuracy = int(self.hits) / N
        return RowStatistics(by_sample, by_class, self.nearest, accuracy, self.exponent, self.small)


class _Products:
    """Products of deviations with the class means in float64."""

    def __init__(
        self, means: Array, classifier: Classifier | None, device: torch.device, exponent: int
    ) -> None:
        Z, squares, _ = geometry = MeanGeometry.of(means)

        def there(A: Array) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(A)).to(device)

        self.small = geometry.by_features
        self.Z, self.squares = there(Z), there(squares)
        if not self.small:  # in units of 2^exponent
            gram = self.Z @ self.Z.T
            self.rest = (self.squares - 2 * gram).mul_(math.ldexp(1.0, -exponent))  # (C, C)
            self.Z = self.Z * math.ldexp(1.0, -exponent)
        self.decide: Any = None
        if classifier is not None:
            self.decide = there(classifier.W.T), there(classifier.b)

    def of(self, D: torch.Tensor, own: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The vectors that the scatter is made of, and the nearest means, of deviations from the
        means `own`.
        """
        if self.small:
            toward = (D + self.Z[own]) @ self.Z.T  # (m, C)
            return D, torch.min(self.squares - 2 * toward, dim=1).indices
        q = D @ self.Z.T  # (m, C)  <h - mu_y, z_k>
        return q, torch.min(self.rest[own].sub_(q, alpha=2), dim=1).indices

    def decided(self, H: torch.Tensor) -> torch.Tensor:
        """Decisions of the classifier about rows."""
        return torch.max(H.double() @ self.decide[0] + self.decide[1], dim=1).indices


class _HostSearch:
    """Nearest means and decisions of rows on the host, by certified products in float32 of the rows
    about the mean of all means.
    """

    def __init__(
        self, means: Array, sizes: NDArray[np.int64], classifier: Classifier | None
    ) -> None:
        C, N = len(means), int(sizes.sum())
        center = sum_rows(means) / C
        longest = math.sqrt(float(np.square(means - center).sum(axis=1).max()))
        self.exponent = exponent_of(longest)
        # float32 rows about a float32 point need no float64
        self.single = self.exponent == 0 and bool((np.abs(center) < 2.0**60).all())
        if self.single:
            center = center.astype(np.float32).astype(np.float64)
        self.center, self.sizes = torch.from_numpy(center), sizes
        self.center32 = self.center.float()
        self.nearest = NearestOnHost(means - center, self.exponent)
        self.longest = longest
        self.total = np.zeros(means.shape[1])
        self.decide: Any = None
        if classifier is not None:
            W, b = classifier.W, classifier.b
            self.bias = float(np.abs(b).max())
            toward = b + np.einsum("cd,d->c", W, center)
            self.decide = LargestProduct(W, toward, self.exponent)
        with whole_float32():
            self.reach = torch.from_numpy(self.nearest.reach()) if N >= _MANY * C else None
        self.tried = self.within = 0
        self._piece: tuple[torch.Tensor, torch.Tensor] | None = None
        self._room = torch.empty(0, means.shape[1])  # of the rows of a piece

    def _rows(self, H: torch.Tensor) -> torch.Tensor:
        """Rows about the center in units of 2^-exponent, float32; those of the piece in hand are
        kept.
        """
        if self._piece is None or self._piece[0] is not H:
            if self.single and H.dtype is not torch.float64:
                if len(self._room) < len(H):
                    self._room = torch.empty(H.shape)
                X = torch.sub(H.float(), self.center32, out=self._room[: len(H)])
            else:
                X = (H.double() - self.center).mul_(math.ldexp(1.0, self.exponent)).float()
            self._piece = H, X
        return self._piece[1]

    def of(self, H: torch.Tensor, own: torch.Tensor, D: torch.Tensor | None) -> torch.Tensor:
        """Nearest means of rows of these classes; D: their deviations, where they are known."""
        X = None
        if D is None:
            X = self._rows(H)
            self.total += X.sum(dim=0).double().numpy()
        closest = own.clone()
        rest = self._beyond_reach(X, own, D)
        with whole_float32():
            if rest is None:
                return self._nearest(self._rows(H), H)
            if len(rest):
                far = H[rest]
                closest[rest] = self._nearest(self._rows(far) if X is None else X[rest], far)
        return closest

    def _nearest(self, X: torch.Tensor, H: torch.Tensor) -> torch.Tensor:
        return self.nearest.of(X, functools.partial(self._exact, H))

    def _beyond_reach(
        self, X: torch.Tensor | None, own: torch.Tensor, D: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Rows that may have another nearest mean than their own; None: all, where few are found
        within reach.
        """
        if self.reach is None or (self.tried >= _TRIED and self.within < _SHARE * self.tried):
            return None
        if D is not None:
            distance = torch.linalg.vector_norm(D, dim=1) + 2.0**-40 * self.longest
        else:
            assert X is not None
            lengths = torch.linalg.vector_norm(X, dim=1).double()
            lengths += math.ldexp(self.longest, self.exponent)
            distance = torch.linalg.vector_norm(X - self.nearest.rows(own), dim=1).double()
            distance = (1 + _ROUNDING * len(self.total)) * distance + _ROUNDING * lengths
            distance *= math.ldexp(1.0, -self.exponent)
        rest = torch.nonzero(~(distance < self.reach[own]))[:, 0]
        self.tried += len(own)
        self.within += len(own) - len(rest)
        return rest

    def decided(self, H: torch.Tensor) -> torch.Tensor:
        """Decisions of the classifier about rows."""
        with whole_float32():
            return self.decide.of(self._rows(H), functools.partial(self._exact, H))

    def decided_by(self, outputs: torch.Tensor, H: torch.Tensor) -> torch.Tensor:
        """The same from the outputs W h + b of a linear layer, in its type and in any order."""
        return self.decide.of_outputs(outputs, H, functools.partial(self._exact, H), self.bias)

    def _exact(self, H: torch.Tensor, k: NDArray[np.int64]) -> Array:
        """Rows k of H about the center, float64."""
        return np.asarray((H[torch.from_numpy(k)].double() - self.center).numpy())

    def deviation(self) -> Array:
        """Sum of the rows about their class means."""
        expected = np.einsum("c,cd->d", self.sizes.astype(np.float64), self.nearest.V)
        return np.asarray(np.ldexp(self.total, -self.exponent) - expected)
