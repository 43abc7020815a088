"""Targets of a model that learns the labels: scalar or one-hot codes of the classes, or given
numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.arrays import host_array
from nc1fast.support.arguments import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray


_OF_LABELS = (
    ": of labels y give codes, for example np.eye(n_classes)[np.unique(y, return_inverse=True)[1]]"
)


@dataclass(frozen=True, eq=False)
class Targets:
    """Outputs that a model is to learn.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_outputs)
    of_class : ndarray of shape (n_classes, n_outputs)
        Mean target of each class.
    one_hot : bool
        Whether the values are the one-hot codes of the classes.
    """

    values: NDArray[np.float64]
    of_class: NDArray[np.float64]
    one_hot: bool

    def decisions(self, outputs: NDArray[np.float64]) -> NDArray[np.int64]:
        """Class whose target is nearest, shape (n_samples,); for one-hot targets that of the
        largest output. Ties go to the lowest.
        """
        T = self.of_class
        distances: NDArray[np.float64] = (T * T).sum(axis=1) - 2 * outputs @ T.T  # + |f|^2
        nearest: NDArray[np.int64] = distances.argmin(axis=1)
        return nearest


def encode(
    targets: Any, classes: NDArray[np.int32], n_classes: int, n_outputs: int | None = None
) -> Targets:
    """Targets of every row.

    Parameters
    ----------
    targets : {"scalar", "one-hot"} or array-like of shape (n_samples,) or (n_samples, n_outputs)
        "scalar": class c of C has the target 2c - (C - 1) of a single output; "one-hot": one output
        per class.
    classes : ndarray of shape (n_samples,)
        The class of every row, 0 to n_classes - 1; each of them occurs.
    n_classes : int
    n_outputs : int, optional
        Outputs of the network that is to reach them. Default: as many as the targets have.

    Raises
    ------
    TypeError, ValueError
        For an unknown name, numbers that are none, a shape that does not fit, or classes with equal
        mean targets.
    """
    if isinstance(targets, str):
        of_class = _codes(targets, n_classes)
        if n_outputs is not None and n_outputs != of_class.shape[1]:
            raise ValueError(
                f"targets={targets!r} of {n_classes} classes needs n_outputs={of_class.shape[1]}, "
                f"but the network has {n_outputs}"
            )
        return Targets(of_class[classes], of_class, targets == "one-hot")
    values = as_numbers(targets, len(classes), n_outputs)
    of_class = np.array([values[classes == c].mean(axis=0) for c in range(n_classes)])
    if len(np.unique(of_class, axis=0)) < n_classes:
        raise ValueError(
            "targets must differ between classes on average: two classes have the same"
        )
    one_hot = values.shape[1] == n_classes and bool((values == np.eye(n_classes)[classes]).all())
    return Targets(values, of_class, one_hot)


def _codes(name: str, n_classes: int) -> NDArray[np.float64]:
    """Targets of the classes by the name of a code, shape (n_classes, n_outputs)."""
    if name == "scalar":
        return np.arange(1.0 - n_classes, n_classes, 2.0, dtype=np.float64)[:, None]
    if name == "one-hot":
        return np.eye(n_classes, dtype=np.float64)
    raise ValueError(f"targets must be 'scalar', 'one-hot' or an array, got {name!r}")


def as_numbers(targets: Any, n_samples: int, n_outputs: int | None) -> NDArray[np.float64]:
    """Given targets, checked, shape (n_samples, n_outputs); a vector is one column, and None allows
    any number of them.
    """
    values = host_array(targets, "targets")
    if values.dtype.kind not in "fiub":
        texts = any(isinstance(one, str | bytes) for one in values.flat)
        given = f"dtype {values.dtype}" if values.shape else shown(values.item())
        raise TypeError(f"targets must be real numbers, got {given}{_OF_LABELS * texts}")
    values = values.astype(np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or values.shape != (n_samples, n_outputs or max(values.shape[1], 1)):
        columns = "n_outputs" if n_outputs is None else n_outputs
        raise ValueError(
            f"targets must have shape ({n_samples}, {columns}): a row per sample, a column per "
            f"output; got {values.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("targets must be finite, but they contain NaN or Inf")
    return values
