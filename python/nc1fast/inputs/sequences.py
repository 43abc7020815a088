"""Sequences of steps, of one length or several, checked and laid side by side."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.arrays import real_array, widened
from nc1fast.support.arguments import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]


class Sequences:
    """Sequences of steps of equally many features, for the kernels of recurrent networks.

    Parameters
    ----------
    X : array-like of shape (n_sequences, n_steps, n_features), or sequence of arrays of shape
    (n_steps_i, n_features)
        Real numbers; of NumPy, torch or anything with `__array__` or DLPack, in memory or
        memory-mapped.
    lengths : array-like of int of shape (n_sequences,), optional
        Sequence i of an array is X[i, :lengths[i]]; what follows is not looked at. Default:
        n_steps.

    Attributes
    ----------
    steps : ndarray of float64 of shape (n, n_features)
        Rows among which the steps of every sequence stand one after the other.
    begins, lengths : ndarray of int64 of shape (n_sequences,)
        Sequence i: steps[begins[i] : begins[i] + lengths[i]].

    Raises
    ------
    TypeError, ValueError
        For what is no such data, no sequences, steps or features, numbers of features that differ,
        NaN or Inf, and lengths that do not fit.

    Notes
    -----
    Cost: a copy of X, unless it is a float64 array in C order.
    """

    __slots__ = ("begins", "lengths", "steps")

    steps: Array
    begins: Integers
    lengths: Integers

    def __init__(
        self, X: ArrayLike | Sequence[ArrayLike], lengths: ArrayLike | None = None
    ) -> None:
        self._set(*_parts(X, lengths, "X"))

    @classmethod
    def of(cls, X: Any, name: str = "X", lengths: Any = None) -> Sequences:
        """The sequences of an array or a list, or those that X is already.

        Raises
        ------
        TypeError, ValueError
            As the class, with `name` for X; for lengths of what has its own.
        """
        if isinstance(X, Sequences):
            if lengths is not None:
                raise ValueError(f"lengths belong to an array, but {name} has its own")
            return X
        made = cls.__new__(cls)
        made._set(*_parts(X, lengths, name))
        return made

    def _set(self, steps: Array, begins: Integers, lengths: Integers) -> None:
        self.steps, self.begins, self.lengths = steps, begins, lengths

    def __len__(self) -> int:
        return len(self.begins)

    def __repr__(self) -> str:
        n, m = self.shape
        least, most = int(self.lengths.min()), int(self.lengths.max())
        return f"Sequences({n} of {least} to {most} steps of {m} features)"

    @property
    def shape(self) -> tuple[int, int]:
        """Number of sequences, and of the features of a step."""
        return len(self), int(self.steps.shape[1])

    def at(self, index: Any) -> Sequences:
        """The sequences of a slice or an array of numbers; the steps are shared."""
        made = Sequences.__new__(Sequences)
        made._set(
            self.steps, *(np.ascontiguousarray(a[index]) for a in (self.begins, self.lengths))
        )
        return made


def _parts(X: Any, lengths: Any, name: str) -> tuple[Array, Integers, Integers]:
    """Steps, begins and lengths of the sequences X."""
    if isinstance(X, str | os.PathLike):
        raise TypeError(
            f"{name} must be sequences in memory, got the path {shown(X)}: load it first"
        )
    if isinstance(X, list | tuple):
        if lengths is not None:
            raise ValueError("lengths belong to an array (n, n_steps, n_features), not to a list")
        return _of_list(X, name)
    array = real_array(X, name)
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(
            f"{name} must have shape (n_sequences, n_steps, n_features), none of them 0, or be a "
            f"list of arrays (n_steps_i, n_features), got shape {array.shape}"
        )
    n, n_steps, n_features = array.shape
    own = np.full(n, n_steps, np.int64) if lengths is None else _lengths(lengths, n, n_steps)
    for i, length in enumerate(own.tolist()):
        _finite(array[i, :length], f"{name}[{i}]")
    if lengths is not None and array.dtype.kind != "f":
        array = np.where((np.arange(n_steps) < own[:, None])[:, :, None], array, 0)
    steps = np.ascontiguousarray(widened(array, name)).reshape(n * n_steps, n_features)
    return steps, np.arange(n, dtype=np.int64) * n_steps, own


def _of_list(X: Any, name: str) -> tuple[Array, Integers, Integers]:
    """The same of a list of arrays."""
    if not len(X):
        raise ValueError(f"{name} must hold at least one sequence, got an empty list")
    parts: list[Array] = []
    for i, one in enumerate(X):
        array = real_array(one, f"{name}[{i}]")
        if array.ndim != 2 or 0 in array.shape:
            raise ValueError(
                f"{name}[{i}] must have shape (n_steps, n_features), neither of them 0, got "
                f"{array.shape}"
            )
        if parts and array.shape[1] != parts[0].shape[1]:
            raise ValueError(
                f"all sequences must have as many features as {name}[0], {parts[0].shape[1]}, but "
                f"{name}[{i}] has {array.shape[1]}"
            )
        _finite(array, f"{name}[{i}]")
        parts.append(widened(array, f"{name}[{i}]"))
    own = np.array([len(part) for part in parts], np.int64)
    return np.concatenate(parts), np.cumsum(own) - own, own


def _lengths(lengths: Any, n: int, n_steps: int) -> Integers:
    """Lengths of n sequences, each from 1 to n_steps."""
    found = real_array(lengths, "lengths")
    if found.dtype.kind not in "iu":
        raise TypeError(f"lengths must be integers, got dtype {found.dtype}")
    if found.shape != (n,):
        raise ValueError(
            f"lengths must have shape ({n},), one for each sequence, got {found.shape}"
        )
    outside = np.flatnonzero((found < 1) | (found > n_steps))
    if len(outside):
        i = int(outside[0])
        raise ValueError(
            f"lengths must be from 1 to {n_steps}, the steps of X, but lengths[{i}] is "
            f"{int(found[i])}"
        )
    return found.astype(np.int64)


def _finite(steps: NDArray[Any], name: str) -> None:
    """Raise ValueError if a step holds NaN or Inf; it names the first."""
    good = np.isfinite(steps)
    if not good.all():
        t, k = np.unravel_index(np.argmin(good), good.shape)
        raise ValueError(
            f"sequences must be finite, but {name} contains NaN or Inf: {name}[{t}, {k}] is "
            f"{steps[t, k]}"
        )
