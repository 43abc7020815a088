"""The first pass: sums of the rows of every class about a row of it, where the features lie.

Only sums are kept. Each is two float64 numbers, so that the additions of batches do not add up:
high + low. On the host the compiled core adds to them, elsewhere torch does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from nc1fast.core.linear import RawMoments, add_rows, column_gram
from nc1fast.metrics.feature_sums import FeatureSums
from nc1fast.sums.moments import LEAST, LONGEST, MomentTable, check_range
from nc1fast.sums.rounding import UNIT_ROUNDOFF

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from nc1fast.networks.probing.outputs import RowClasses

    Array = NDArray[np.float64]

CHUNK = 1 << 21  # entries widened to float64 at a time: 16 MiB
_SIDE = 256  # columns of a block of a Gram matrix
_ROUNDINGS = 6  # of an entry besides additions: deviation, square, and those of high and low


def widened(H: torch.Tensor, width: int = 1) -> Iterator[tuple[slice, torch.Tensor]]:
    """Rows of H in float64, in new tensors of at most 16 MiB or one row, as would be rows of
    `width`.
    """
    step = max(1, CHUNK // max(width, H.shape[1]))
    for start in range(0, len(H), step):
        part = slice(start, start + step)
        yield part, H[part].to(torch.float64, copy=True)


def zeros(
    shape: Sequence[int], device: torch.device, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """Zeros, float64 by default; on the host memory that is taken when it is first written, in
    large pages.
    """
    dtype = dtype or torch.float64
    if device.type != "cpu":
        return torch.zeros(*shape, dtype=dtype, device=device)
    return torch.from_numpy(np.zeros(shape, dtype=str(dtype).removeprefix("torch.")))


def add_gram(out: torch.Tensor, S: torch.Tensor, T: torch.Tensor | None = None) -> None:
    """Add S^T T, which is symmetric, to the upper triangle of `out`: 0.6 of the work of the whole
    product for many columns.
    """
    T = S if T is None else T
    for k in range(0, len(out), _SIDE):
        out[k : k + _SIDE, k:].addmm_(S[:, k : k + _SIDE].T, T[:, k:])


def mirrored(upper: torch.Tensor) -> torch.Tensor:
    """The symmetric matrix of this upper triangle."""
    return upper.triu() + upper.triu(1).T


def _add(high: torch.Tensor, low: torch.Tensor, at: torch.Tensor, what: torch.Tensor) -> None:
    """Add to high + low at distinct rows `at`: what high rounds off goes to low (Knuth)."""
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
    single : bool, default False
        Whether the features so far are float32, float16 or bfloat16.

    Attributes
    ----------
    sizes, longest : tensor of shape (n_classes,) and (1,), float64
        Rows of each class; most rows of a class that were added up without compensation, for the
        bound.
    squares : tensor of shape (2, n_classes)
        Sum of |h - shift|^2: high and low.
    shift, high, low : tensor of shape (n_classes, n_features)
        A row of each class, in float32 where the features are no wider, and the sum of h - shift.
    scatter : tensor of shape (n_features, n_features) or (0, 0)
        Sum of (h - shift)(h - shift)^T over all classes: the upper triangle.
    """

    def __init__(
        self,
        n_classes: int,
        n_features: int,
        device: torch.device,
        *,
        scatter: bool,
        single: bool = False,
    ) -> None:
        d, table = n_features, (n_classes, n_features)
        self.sizes, self.longest = zeros((n_classes,), device), zeros((1,), device)
        self.squares = zeros((2, n_classes), device)
        self.shift = zeros(table, device, torch.float32 if single else None)
        self.high, self.low = zeros(table, device), zeros(table, device)
        self.scatter = zeros((d, d) if scatter else (0, 0), device)

    NAMES = ("sizes", "longest", "squares", "shift", "high", "low", "scatter")

    @staticmethod
    def bytes_needed(
        n_classes: int, n_features: int, *, scatter: bool, single: bool = False
    ) -> int:
        """Bytes of the sums, without the 16 MiB pieces that are widened."""
        of_class = (20 if single else 24) * n_features + 24
        return n_classes * of_class + 8 * (1 + scatter * n_features**2)

    def packed(self) -> torch.Tensor:
        """All in one float64 tensor (m,), a copy: n_classes, n_features, whether there is a
        scatter, and the sums.
        """
        shape = [*self.shift.shape, int(bool(self.scatter.numel()))]
        head = torch.tensor(shape, dtype=torch.float64, device=self.shift.device)
        parts = (getattr(self, name).reshape(-1).double() for name in self.NAMES)
        return torch.cat([head, *parts])

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
        known, device = len(self.sizes), self.sizes.device
        if n_classes <= known:
            return
        for name in ("sizes", "squares", "shift", "high", "low"):
            old = getattr(self, name)
            room = 2 * n_classes
            shape = (2, room) if name == "squares" else (room, *old.shape[1:])
            new = zeros(shape, device, old.dtype)
            new[tuple(slice(side) for side in old.shape)] = old
            setattr(self, name, new)

    @property
    def single(self) -> bool:
        """Whether the shift is of float32."""
        return self.shift.dtype is torch.float32

    def update(self, H: torch.Tensor, rows: RowClasses) -> None:
        """Add features (n, d) of these classes."""
        if not len(H):
            return
        if self.single and H.dtype is torch.float64:
            self.shift = self.shift.double()
        if H.device.type == "cpu":
            self._update_on_host(H, rows)
        else:
            self._update_on_device(H, rows)
        if self.scatter.numel():
            codes = rows.on(H.device, "codes")
            for part, wide in widened(H):
                add_gram(self.scatter, wide.sub_(self.shift[codes[part]]))

    def _update_on_host(self, H: torch.Tensor, rows: RowClasses) -> None:
        if H.dtype not in (torch.float32, torch.float64):
            H = H.float()
        if H.shape[1] > 1 and H.stride(1) != 1:
            H = H.contiguous()
        sums = (self.sizes, self.longest, self.squares, self.shift, self.high, self.low)
        raw = RawMoments(*(t.numpy() for t in sums))
        add_rows(H.resolve_neg().numpy(), rows.codes, raw, torch.get_num_threads())

    def _update_on_device(self, H: torch.Tensor, rows: RowClasses) -> None:
        codes = rows.on(H.device, "codes")
        present, first_rows, local, counts = rows.distinct(H.device)
        empty = (self.sizes[present] == 0)[:, None]
        first = H[first_rows].to(self.shift.dtype)
        self.shift[present] = torch.where(empty, first, self.shift[present])
        total = self.high.new_zeros(len(present), H.shape[1])
        squares = self.high.new_zeros(len(present))
        for part, wide in widened(H):
            D = wide.sub_(self.shift[codes[part]])
            total.index_add_(0, local[part], D)
            squares.index_add_(0, local[part], D.square_().sum(dim=1))
        _add(self.high, self.low, present, total)
        _add(self.squares[0], self.squares[1], present, squares)
        self.sizes[present] += counts.double()
        self.longest.clamp_(min=counts.max().double())

    def check(self) -> None:
        """Raise ValueError for NaN or Inf in what has been added."""
        if not bool(torch.isfinite(self.squares).all()):
            raise ValueError(
                f"H must be finite, but it contains NaN or Inf, or rows longer than {LONGEST:g}"
            )

    def moments(self) -> MomentTable:
        """Moments of each class, also of those without rows."""
        self.check()
        longest = float(self.longest)
        n, low, shift, squares = (
            t.cpu().numpy() for t in (self.sizes, self.low, self.shift, self.squares.sum(dim=0))
        )
        offset = low + self.high.cpu().numpy()
        offset /= np.maximum(n, 1)[:, None]
        table = _moments(n, shift.astype(np.float64), offset, squares, longest)
        there = table.of(n > 0) if (n == 0).any() else table
        check_range(there, "H")
        return table

    def scatter_within(self, moments: MomentTable) -> Array | None:
        """Sum of (h - mean)(h - mean)^T over the rows of all classes, shape (d, d), if it is added
        up.
        """
        if not self.scatter.numel():
            return None
        offsets = np.sqrt(moments.n)[:, None] * moments.offset
        return mirrored(self.scatter).cpu().numpy() - column_gram(offsets)  # type: ignore[no-any-return]

    def feature_sums(self) -> FeatureSums:
        """The same as `FeatureSums`, which merge; the labels are the numbers of the classes."""
        moments = self.moments()
        there = np.flatnonzero(moments.n)
        if not len(there):
            return FeatureSums()
        scatter = self.scatter_within(moments)
        return FeatureSums.of_moments(there, moments.of(there), scatter)


def _moments(
    n: Array, shift: Array, offset: Array, about_shift: Array, longest: float
) -> MomentTable:
    """Moments of classes, with the bounds of sums of any order of `longest` rows, and of
    compensated ones of these.
    """
    u, d, rows = UNIT_ROUNDOFF, shift.shape[1], np.maximum(n, 1)
    correction = n * np.square(offset).sum(axis=1)
    adds = longest + _ROUNDINGS
    offset_error = adds * u * np.sqrt(np.maximum(about_shift, 0.0) / rows)
    off = np.sqrt(correction * n)  # n |offset|
    squares_error = (
        u * ((d + adds) * about_shift + (d + 4) * correction)
        + 2 * off * offset_error
        + n * offset_error**2
        + 4 * n * d * LEAST
    )
    spread = np.maximum(about_shift - correction, 0.0)
    return MomentTable(n.astype(np.int64), shift, offset, spread, offset_error, squares_error)
