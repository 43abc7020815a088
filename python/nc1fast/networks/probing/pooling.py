"""From the output of a layer to features: a row for each label."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.support.arguments import shown
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from numpy.typing import NDArray

    Pool = str | Callable[[Any], Any]
else:
    torch = require("torch", "torch")

POOLS = ("flatten", "mean", "max", "cls", "tokens")


def check_pool(pool: Any) -> None:
    """Raise ValueError unless `pool` is a name or a callable."""
    if not callable(pool) and not (isinstance(pool, str) and pool in POOLS):
        names = ", ".join(map(repr, POOLS))
        raise ValueError(f"pool must be one of {names}, or a callable, got {shown(pool)}")


class RowClasses:
    """The classes of the rows of a batch, on the host and, once asked for, on a device.

    Attributes
    ----------
    n : int
        Rows, those that are left out among them.
    kept : ndarray of shape (n_kept,) or None
        Rows that have a class; None: all.
    codes : ndarray of int64 of shape (n_kept,)
    """

    def __init__(self, codes: NDArray[np.int64]) -> None:
        self.n = len(codes)
        least = codes.min(initial=0)
        self.kept = None if least >= 0 else np.flatnonzero(codes >= 0)
        self.codes = codes if self.kept is None else codes[self.kept]
        self._on: dict[Any, torch.Tensor] = {}

    @cached_property
    def present(self) -> NDArray[np.int64]:
        """Classes of the batch, ascending."""
        found: NDArray[np.int64] = self._found[0]
        return found

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """The first row of each of them."""
        found: NDArray[np.int64] = self._found[1]
        return found

    @cached_property
    def local(self) -> NDArray[np.int64]:
        """Index into them of each row."""
        found: NDArray[np.int64] = self._found[2]
        return found

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each of them."""
        found: NDArray[np.int64] = self._found[3]
        return found

    @cached_property
    def _found(self) -> Any:
        return np.unique(self.codes, return_index=True, return_inverse=True, return_counts=True)

    def on(self, device: Any, name: str) -> torch.Tensor:
        """One of the arrays as a tensor on a device."""
        if (device, name) not in self._on:
            self._on[device, name] = torch.from_numpy(getattr(self, name)).to(device)
        return self._on[device, name]


@dataclass(eq=False)
class Batch:
    """A batch as layers are measured on it.

    Attributes
    ----------
    inputs : nested structure of tensors
        As the module takes them.
    codes : ndarray of int64 of shape (n_samples,) or (n_samples, n_tokens, ...)
        Classes; -1 for what is left out.
    mask : tensor of shape (n_samples, n_tokens) or None
        Tokens that are no padding, where the batch says so.
    """

    inputs: Any
    codes: NDArray[np.int64]
    mask: torch.Tensor | None = None
    _rows: dict[Any, RowClasses] = field(default_factory=dict)

    def of_rows(self) -> RowClasses:
        """The classes of the labels, one after the other."""
        return self._cached("labels", lambda: self.codes.reshape(-1))

    def of_tokens(self, shape: Sequence[int]) -> RowClasses:
        """The classes of tokens (n_samples, ...) of samples with one label each, without padding."""

        def codes() -> NDArray[np.int64]:
            repeated = np.repeat(self.codes, int(np.prod(shape[1:])))
            if self.mask is None or tuple(self.mask.shape) != tuple(shape):
                return repeated
            return np.where(self.mask.cpu().numpy().reshape(-1).astype(bool), repeated, -1)

        return self._cached(tuple(shape), codes)

    def _cached(self, key: Any, codes: Callable[[], NDArray[np.int64]]) -> RowClasses:
        if key not in self._rows:
            self._rows[key] = RowClasses(codes())
        return self._rows[key]


class MisfitError(TypeError):
    """An output that has no row for each label; the message begins after "must return"."""


def pooled(H: torch.Tensor, pool: Pool, batch: Batch) -> tuple[torch.Tensor, RowClasses]:
    """Features (n_kept, d) of the output of a layer, and their classes.

    Tensors of three axes are (n_samples, n_tokens, d), those of more (n_samples, d, ...), as
    convolutions give them. "mean" and "max" leave out what the mask of the batch calls padding.

    Raises
    ------
    MisfitError
        For a tensor that does not fit the labels.
    """
    n = len(batch.codes)
    if not H.is_floating_point() or not H.ndim:
        raise MisfitError(f"one floating-point tensor with a row per sample, not {_told(H)}")
    if callable(pool):
        F = pool(H)
        if not isinstance(F, torch.Tensor) or F.ndim < 2 or not F.is_floating_point():
            told = _told(F) if isinstance(F, torch.Tensor) else type(F).__name__
            raise MisfitError(f"rows (n, d) by its pool, not {told}")
        rows = batch.of_rows()
        F = F.reshape(-1, F.shape[-1])
    elif len(H) != n:
        raise MisfitError(
            f"one floating-point tensor with a row per sample, not {_told(H)} for {n} samples"
        )
    elif pool == "tokens":
        if H.ndim < 3:
            raise MisfitError(f"tokens (n_samples, n_tokens, d), not {_told(H)}")
        F = H if H.ndim == 3 else H.movedim(1, -1)
        rows = batch.of_rows() if batch.codes.ndim > 1 else batch.of_tokens(F.shape[:-1])
        if batch.codes.ndim > 1 and batch.codes.shape != tuple(F.shape[:-1]):
            raise MisfitError(
                f"a token for each label, {batch.codes.shape} of them, not {_told(H)}"
            )
        F = F.reshape(-1, F.shape[-1])
    else:
        F, rows = _of_samples(H, pool, batch.mask), batch.of_rows()
    if len(F) != rows.n:
        hint = ': labels of tokens need pool="tokens"' if batch.codes.ndim > 1 else ""
        raise MisfitError(f"a row for each of {rows.n} labels, not {len(F)} rows{hint}")
    return (F if rows.kept is None else F[rows.on(F.device, "kept")]), rows


def _of_samples(H: torch.Tensor, pool: str, mask: torch.Tensor | None) -> torch.Tensor:
    """One row for each sample, shape (n_samples, d)."""
    if pool == "flatten" or H.ndim < 3:
        return H.reshape(len(H), -1)
    if pool == "cls":
        if H.ndim > 3:
            raise MisfitError(f"tokens (n_samples, n_tokens, d), not {_told(H)}")
        return H[:, 0]
    if H.ndim == 3 and mask is not None and mask.shape == H.shape[:2]:
        inside = mask.to(H.device).bool()[..., None]
        if pool == "max":
            return H.masked_fill(~inside, -torch.inf).amax(dim=1)
        wide = H.double()
        return torch.where(inside, wide, 0).sum(dim=1) / inside.sum(dim=1).clamp(min=1)
    over = 1 if H.ndim == 3 else tuple(range(2, H.ndim))
    return H.amax(dim=over) if pool == "max" else H.double().mean(dim=over)


def _told(H: torch.Tensor) -> str:
    """A tensor in words: its type and shape."""
    return f"{str(H.dtype).removeprefix('torch.')} of shape {tuple(H.shape)}"
