"""Gram matrices of recurrent kernels by the compiled core, with bounds on the errors of their
entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast import _core
from nc1fast.core.machine import threads_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nc1fast.inputs.sequences import Sequences

    Array = NDArray[np.float64]

# Steps that a pair of rows of some features costs as much as: when threads are worth it.
_FEATURES_OF_A_STEP = 16


@dataclass(frozen=True)
class Recurrence:
    """The recursion over steps, as the core takes it; derived in cpp/nc1fast/recurrent.hpp.

    Attributes
    ----------
    weight, input, bias, readout : float
        Variances.
    tangent : bool
        Whether the kernel is the NTK.
    """

    weight: float
    input: float
    bias: float
    readout: float
    tangent: bool

    @property
    def variances(self) -> tuple[float, float, float, float]:
        """The four variances, in the order of the fields."""
        return self.weight, self.input, self.bias, self.readout


def block(
    of: Recurrence,
    X: Sequences,
    Z: Sequences | None,
    *,
    single: bool = False,
    errors: bool = False,
    n_threads: int | None = None,
) -> tuple[NDArray[Any], Array]:
    """Kernel values of the sequences X with those of Z, and bounds on their errors.

    Parameters
    ----------
    of : Recurrence
    X, Z : Sequences
        Of as many features. Z: None for X itself.
    single : bool
        Whether the recursion over pairs is in float32.
    errors : bool
        Whether bounds are requested: half as much work again. Otherwise an empty array stands for
        them.
    n_threads : int, optional

    Raises
    ------
    OverflowError
        For values on the diagonal beyond 1e+-100, in float32 1e+-20.
    """
    others = X if Z is None else Z
    steps = min(int(X.lengths.max(initial=0)), int(others.lengths.max(initial=0)))
    work = len(X) * len(others) * steps * (1 + X.shape[1] // _FEATURES_OF_A_STEP)
    threads = threads_for(n_threads, work)
    return _core.recurrent(
        _stored(X),
        None if Z is None else _stored(Z),
        of.variances,
        of.tangent,
        single,
        errors,
        threads,
        None,
    )


def diagonal(of: Recurrence, X: Sequences) -> tuple[Array, Array]:
    """Kernel values of sequences with themselves, (n,), and bounds on their errors."""
    return _core.recurrent_diagonal(_stored(X), of.variances, of.tangent)


def _stored(X: Sequences) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """The arrays of sequences, as the core takes them."""
    return X.steps, X.begins, X.lengths
