"""Outputs of layers and batches: nested structures of tensors, and the features that these are
pooled to, a row for each label.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nc1fast.inputs.arrays import host_array
from nc1fast.support.arguments import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Pool = str | Callable[[Any], Any]

POOLS = ("flatten", "mean", "max", "cls", "tokens")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors within tuples, lists, mappings and dataclasses, each with its path: "" for a
    tensor itself, "1.key" within.
    """
    if isinstance(value, torch.Tensor):
        yield path, value
        return
    for name, part in _parts(value):
        yield from leaves(part, f"{path}.{name}" if path else str(name))


def _parts(value: Any) -> list[tuple[Any, Any]]:
    """Names and values within a structure; none in anything else."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple | list):
        return list(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
    return []


def is_array(value: Any) -> bool:
    """Whether a value is a tensor, or an array of any library that has DLPack."""
    return isinstance(value, torch.Tensor | np.ndarray) or hasattr(value, "__dlpack__")


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """The same structure with the function of each array, of NumPy if of another library, and
    tensor; mappings become dicts.
    """
    if isinstance(value, torch.Tensor):
        return function(value)
    if is_array(value):
        return function(host_array(value, "data"))
    if isinstance(value, Mapping):
        return {name: mapped(function, part) for name, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(function, part) for part in value))
    if isinstance(value, tuple | list):
        return type(value)(mapped(function, part) for part in value)
    return value


def as_torch(value: Any) -> Any:
    """A tensor of an array of numbers, which is copied; anything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("=")))
    return value


def check_pool(pool: Any) -> None:
    """Raise ValueError unless `pool` is a name or a callable."""
    if not callable(pool) and not (isinstance(pool, str) and pool in POOLS):
        names = ", ".join(map(repr, POOLS))
        raise ValueError(f"pool must be one of {names}, or a callable, got {shown(pool)}")


class RowClasses:
    """The classes of the rows of a batch, on the host and, once requested, on a device.

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
        self.kept = None if codes.min(initial=0) >= 0 else np.flatnonzero(codes >= 0)
        self.codes = codes if self.kept is None else codes[self.kept]
        self._on: dict[Any, Any] = {}  # by device, since the layers of a batch share them

    def on(self, device: Any, name: str) -> torch.Tensor:
        """`codes` or `kept` as a tensor on a device."""
        if (device, name) not in self._on:
            self._on[device, name] = torch.from_numpy(getattr(self, name)).to(device)
        return self._on[device, name]

    def distinct(self, device: Any) -> list[torch.Tensor]:
        """Classes of the batch, ascending; the first row of each; the index into them of each row;
        and the rows of each.
        """
        if device not in self._on:
            found = np.unique(
                self.codes, return_index=True, return_inverse=True, return_counts=True
            )
            self._on[device] = [torch.from_numpy(array).to(device) for array in found]
        tensors: list[torch.Tensor] = self._on[device]
        return tensors


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
        """Classes of tokens (n_samples, ...) of samples with one label each, without padding."""

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
        raise MisfitError(f"one floating-point tensor with a row per sample, not {_described(H)}")
    if callable(pool):
        F = pool(H)
        if not isinstance(F, torch.Tensor) or F.ndim < 2 or not F.is_floating_point():
            given = _described(F) if isinstance(F, torch.Tensor) else type(F).__name__
            raise MisfitError(f"rows (n, d) by its pool, not {given}")
        rows = batch.of_rows()
        F = F.reshape(-1, F.shape[-1])
    elif len(H) != n:
        raise MisfitError(
            f"one floating-point tensor with a row per sample, not {_described(H)} for {n} samples"
        )
    elif pool == "tokens":
        if H.ndim < 3:
            raise MisfitError(f"tokens (n_samples, n_tokens, d), not {_described(H)}")
        F = H if H.ndim == 3 else H.movedim(1, -1)
        rows = batch.of_rows() if batch.codes.ndim > 1 else batch.of_tokens(F.shape[:-1])
        if batch.codes.ndim > 1 and batch.codes.shape != tuple(F.shape[:-1]):
            raise MisfitError(
                f"a token for each label, {batch.codes.shape} of them, not {_described(H)}"
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
            raise MisfitError(f"tokens (n_samples, n_tokens, d), not {_described(H)}")
        return H[:, 0]
    if H.ndim == 3 and mask is not None and mask.shape == H.shape[:2]:
        inside = mask.to(H.device).bool()[..., None]
        if pool == "max":
            return H.masked_fill(~inside, -torch.inf).amax(dim=1)
        wide = H.double()
        return torch.where(inside, wide, 0).sum(dim=1) / inside.sum(dim=1).clamp(min=1)
    over = 1 if H.ndim == 3 else tuple(range(2, H.ndim))
    return H.amax(dim=over) if pool == "max" else H.double().mean(dim=over)


def _described(H: torch.Tensor) -> str:
    """The type and shape of a tensor, in words."""
    return f"{str(H.dtype).removeprefix('torch.')} of shape {tuple(H.shape)}"
