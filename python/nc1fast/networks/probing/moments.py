"""The first pass: sums of the rows of every class about a row of it, where the features lie.

Only sums are kept. Each is two float64 numbers, so that the additions of batches do not add up: high + low.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.metrics.feature_sums import FeatureSums
from nc1fast.sums.moments import LEAST, LONGEST, Moments
from nc1fast.sums.rounding import UNIT_ROUNDOFF
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from numpy.typing import NDArray

    from nc1fast.networks.probing.pooling import RowClasses

    Array = NDArray[np.float64]
else:
    torch = require("torch", "torch")

CHUNK = 1 << 21  # entries widened to float64 at a time: 16 MiB
_ROUNDINGS = (
    6  # of one entry beside the additions of a batch: deviation, square, and those of high and low
)


def widened(H: torch.Tensor, width: int = 1) -> Iterator[tuple[slice, torch.Tensor]]:
    """Rows of H in float64, in new tensors of at most 16 MiB or one row, as would be rows of `width`."""
    step = max(1, CHUNK // max(width, H.shape[1]))
    for start in range(0, len(H), step):
        part = slice(start, start + step)
        yield part, H[part].to(torch.float64, copy=True)


def _add(high: torch.Tensor, low: torch.Tensor, at: torch.Tensor, what: torch.Tensor) -> None:
    """Add to high + low at the rows `at`, which differ: what high rounds off goes to low (Knuth)."""
    before = high[at]
    total = before + what
    part = total - before
    low[at] += (before - (total - part)) + (what - part)
    high[at] = total


class DeviceMoments:
    """Sums of features by class, on the device of the features.

    Parameters
    ----------
    n_classes, n_features : int
        Classes there is room for; `grow` makes more.
    device : torch.device
    scatter : bool
        Whether to add up the scatter within classes, shape (n_features, n_features), too.

    Attributes
    ----------
    sizes, longest : tensor of shape (n_classes,) and (1,), float64
        Rows of each class; most rows of a class in one batch, for the bound.
    squares : tensor of shape (2, n_classes)
        Sum of |h - shift|^2: high and low.
    shift, high, low : tensor of shape (n_classes, n_features)
        A row of each class, and the sum of h - shift.
    scatter : tensor of shape (n_features, n_features) or (0, 0)
        Sum of (h - shift)(h - shift)^T over all classes.
    """

    def __init__(
        self, n_classes: int, n_features: int, device: torch.device, *, scatter: bool
    ) -> None:
        d, kind = n_features, {"dtype": torch.float64, "device": device}
        self.sizes, self.longest = torch.zeros(n_classes, **kind), torch.zeros(1, **kind)
        self.squares = torch.zeros(2, n_classes, **kind)
        self.shift, self.high, self.low = (torch.zeros(n_classes, d, **kind) for _ in range(3))
        self.scatter = torch.zeros(*((d, d) if scatter else (0, 0)), **kind)

    NAMES = ("sizes", "longest", "squares", "shift", "high", "low", "scatter")

    @staticmethod
    def bytes_needed(n_classes: int, n_features: int, *, scatter: bool) -> int:
        """Bytes of the sums, without the 16 MiB pieces that are widened."""
        return 8 * (n_classes * (3 * n_features + 3) + 1 + scatter * n_features**2)

    def packed(self) -> torch.Tensor:
        """All in one float64 tensor (m,), a copy: n_classes, n_features, whether there is a scatter, and the sums."""
        shape = [*self.shift.shape, int(bool(self.scatter.numel()))]
        head = torch.tensor(shape, dtype=torch.float64, device=self.shift.device)
        return torch.cat([head, *(getattr(self, name).reshape(-1) for name in self.NAMES)])

    @classmethod
    def unpacked(cls, flat: torch.Tensor) -> tuple[DeviceMoments, int]:
        """The first moments in a tensor of `packed` ones, as views of it, and their length."""
        n_classes, d, scatter = (int(v) for v in flat[:3])
        out = cls(0, 0, flat.device, scatter=False)
        d2 = (d, d) if scatter else (0, 0)
        table = (n_classes, d)
        shapes = ((n_classes,), (1,), (2, n_classes), table, table, table, d2)
        start = 3
        for name, shape in zip(cls.NAMES, shapes, strict=True):
            size = math.prod(shape)
            setattr(out, name, flat[start : start + size].view(shape))
            start += size
        return out, start

    def grow(self, n_classes: int) -> None:
        """Make room for so many classes, and for as many again."""
        more = 2 * n_classes - len(self.sizes)
        if n_classes <= len(self.sizes):
            return
        for name in ("sizes", "shift", "high", "low"):
            old = getattr(self, name)
            setattr(self, name, torch.cat([old, old.new_zeros(more, *old.shape[1:])]))
        self.squares = torch.cat([self.squares, self.squares.new_zeros(2, more)], dim=1)

    def update(self, H: torch.Tensor, rows: RowClasses) -> None:
        """Add features (n, d) of these classes."""
        if not len(H):
            return
        on = rows.on(H.device)
        present, local, codes = on["present"], on["local"], on["codes"]
        empty = (self.sizes[present] == 0)[:, None]
        self.shift[present] = torch.where(empty, H[on["first"]].double(), self.shift[present])
        total = self.high.new_zeros(len(present), H.shape[1])
        squares = self.high.new_zeros(len(present))
        for part, wide in widened(H):
            D = wide.sub_(self.shift[codes[part]])
            total.index_add_(0, local[part], D)
            if self.scatter.numel():
                self.scatter += D.T @ D
            squares.index_add_(0, local[part], D.square_().sum(dim=1))
        _add(self.high, self.low, present, total)
        _add(self.squares[0], self.squares[1], present, squares)
        self.sizes[present] += on["counts"].double()
        self.longest.clamp_(min=float(rows.counts.max()))

    def check(self) -> None:
        """Raise ValueError for NaN or Inf in what has been added."""
        if not bool(torch.isfinite(self.squares).all() & torch.isfinite(self.high).all()):
            raise ValueError(
                f"H must be finite, but it contains NaN or Inf, or rows longer than {LONGEST:g}"
            )

    def moments(self) -> list[Moments | None]:
        """Moments of each class; None for one without rows."""
        self.check()
        longest = float(self.longest)
        n, high, low, shift, squares = (
            t.cpu().numpy()
            for t in (self.sizes, self.high, self.low, self.shift, self.squares.sum(dim=0))
        )
        found = [
            _moments(int(n[c]), shift[c], (high[c] + low[c]) / n[c], float(squares[c]), longest)
            if n[c]
            else None
            for c in range(len(n))
        ]
        reached = max((math.sqrt(m.squares / m.n) + _length(m.mean) for m in found if m), default=0)
        if not reached <= LONGEST:
            raise ValueError(f"H is out of range: it has rows longer than {LONGEST:g}; scale them")
        return found

    def scatter_within(self, moments: list[Moments | None]) -> Array | None:
        """Sum of (h - mean)(h - mean)^T over the rows of all classes, shape (d, d), if it is added up."""
        if not self.scatter.numel():
            return None
        offsets = torch.from_numpy(np.array([m.offset * math.sqrt(m.n) for m in moments if m]))
        return (self.scatter.cpu() - offsets.T @ offsets).numpy()  # type: ignore[no-any-return]

    def feature_sums(self) -> FeatureSums:
        """The same as `FeatureSums`, which merge; the labels are the numbers of the classes."""
        moments = self.moments()
        there = [c for c, m in enumerate(moments) if m is not None]
        if not there:
            return FeatureSums()
        found = [m for m in moments if m is not None]
        return FeatureSums.of_moments(np.array(there), found, self.scatter_within(moments))


def _length(row: Array) -> float:
    return math.sqrt(float(np.square(row).sum()))


def _moments(n: int, shift: Array, offset: Array, about_shift: float, longest: float) -> Moments:
    """Moments of a class, with the bounds of sums of any order within a batch."""
    u, d = UNIT_ROUNDOFF, len(shift)
    correction = n * float(np.square(offset).sum())
    adds = longest + _ROUNDINGS
    offset_error = adds * u * math.sqrt(max(about_shift, 0.0) / n)
    off = math.sqrt(correction * n)  # n |offset|
    return Moments(
        n,
        shift,
        offset,
        max(about_shift - correction, 0.0),
        offset_error,
        u * ((d + adds) * about_shift + (d + 4) * correction)
        + 2 * off * offset_error
        + n * offset_error**2
        + 4 * n * d * LEAST,
    )
