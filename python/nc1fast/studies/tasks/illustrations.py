"""What figures show beside NC1s: spectra, Gram matrices and trainings of a few chosen data sets, as series."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from nc1fast.studies.fields import Count, Entry, Name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from nc1fast.studies.sources import Instance
    from nc1fast.studies.tasks.measuring import Problem
    from nc1fast.studies.tidy import Row

    Array = NDArray[np.float64]

Kind = Literal["training", "annealing", "sigma", "spectrum", "gram"]
GRAM_BLOCKS = 48
SPECTRUM_LENGTH = 64
LARGEST_MATRIX = 32  # features up to which Sigma is shown entry by entry
LARGEST_GRAM = 2048  # samples up to which a Gram matrix is formed


class Illustration(Entry):
    """Data sets of an arm that give series, and which ones: of their first repeat, of trainings of all.

    `n_samples`, `n_features` and `activation` narrow the choice. "gram" and "spectrum" stop at 2048 samples, beyond which
    no Gram matrix is formed; the matrix of "sigma" stops at 32 features, its spectrum does not.
    """

    show: Annotated[tuple[Kind, ...], Field(min_length=1)]
    dataset: Name
    n_samples: tuple[Count, ...] = ()
    n_features: tuple[Count, ...] = ()
    activation: tuple[str, ...] = ()

    def covers(self, instance: Instance) -> bool:
        """Whether it is about this data set."""
        return (
            self.dataset == instance.source.name
            and (not self.n_samples or instance.n_samples in self.n_samples)
            and (not self.n_features or instance.n_features in self.n_features)
        )

    def shows(self, kind: str, activation: str, repeat: int) -> bool:
        """Whether it asks for this kind of series of this activation and repeat."""
        return (
            kind in self.show
            and (not self.activation or activation in self.activation)
            and (repeat == 0 or kind == "training")
        )


def series(
    named: Row, quantity: str, points: Iterable[tuple[float, float, float]], **columns: str
) -> list[Row]:
    """Rows of (x, y, value); `columns` are state and layer."""
    shared = {
        "model": named["model"],
        "activation": named["activation"],
        "state": columns.get("state", ""),
        "layer": columns.get("layer", ""),
        "quantity": quantity,
    }
    return [{**shared, "x": float(x), "y": float(y), "value": float(v)} for x, y, v in points]


def spectrum(
    named: Row, quantity: str, matrix: Array, length: int | None = None, state: str = ""
) -> list[Row]:
    """Eigenvalues of a symmetric matrix, largest first; the leading `length`."""
    values = np.linalg.eigvalsh(matrix)[::-1][:length]
    return series(named, quantity, ((i, 0, v) for i, v in enumerate(values)), state=state)


def entries(named: Row, quantity: str, matrix: Array, state: str = "") -> list[Row]:
    """All entries of a matrix."""
    return series(named, quantity, ((i, j, v) for (i, j), v in np.ndenumerate(matrix)), state=state)


def sigma(named: Row, matrix: Array, state: str = "") -> list[Row]:
    """Spectrum of Sigma, or of what a network has in its place; the matrix itself where it is small."""
    rows = spectrum(named, "sigma spectrum", matrix, state=state)
    if len(matrix) <= LARGEST_MATRIX:
        rows += entries(named, "sigma", matrix, state)
    return rows


def gram_series(problem: Problem, named: Row, kernel: Any) -> list[Row]:
    """Kernel spectrum and Gram matrix, where an illustration asks for them."""
    activation = named["activation"]
    shown = {kind for kind in ("spectrum", "gram") if problem.shows(kind, activation)}
    if not shown or len(problem.X) > LARGEST_GRAM:
        return []
    K = kernel(problem.X)
    rows = []
    if "spectrum" in shown:
        rows += spectrum(named, "kernel spectrum", K, SPECTRUM_LENGTH)
    if "gram" in shown:
        rows += entries(named, "gram", block_means(K, problem.y))
    return rows


def block_means(K: Array, y: NDArray[Any], blocks: int = GRAM_BLOCKS) -> Array:
    """Means of (at most) blocks x blocks parts of a Gram matrix whose rows are put in class order."""
    order = np.argsort(y, kind="stable")
    blocks = min(blocks, len(order))
    starts = np.array([math.floor(i * len(order) / blocks) for i in range(blocks)])
    sizes = np.diff(starts, append=len(order)).astype(np.float64)
    sums = np.add.reduceat(np.add.reduceat(K[np.ix_(order, order)], starts, axis=0), starts, axis=1)
    means: Array = sums / np.outer(sizes, sizes)
    return means
