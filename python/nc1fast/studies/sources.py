"""Sources of data in a description, and the data sets that each of them describes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import Field, model_validator

from nc1fast import datasets
from nc1fast.datasets.readers import files_read, names_a_part
from nc1fast.studies.fields import Count, Entry, Name, Number, Variance, joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Scale = Literal["none", "unit-interval", "standardize", "unit-norm"]


class GaussianMixture(Entry):
    """Classes N(means[c] 1, stds[c]^2 I); one data set for each size and number of features.

    Sizes are either `n_samples`, totals to be divided equally among the classes, or `sizes`, lists
    of class sizes.
    """

    source: Literal["gaussian_mixture"]
    name: Name
    means: Annotated[tuple[Number, ...], Field(min_length=2)]
    stds: Variance | tuple[Variance, ...]
    n_features: Annotated[tuple[Count, ...], Field(min_length=1)]
    n_samples: tuple[Count, ...] = ()
    sizes: tuple[tuple[Count, ...], ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> GaussianMixture:
        n_classes = len(self.means)
        if bool(self.n_samples) == bool(self.sizes):
            raise ValueError(
                "give either n_samples (equal classes) or sizes (one list per data set)"
            )
        if isinstance(self.stds, tuple) and len(self.stds) != n_classes:
            raise ValueError(f"stds must be one number or {n_classes}, one per mean")
        for n in self.n_samples:
            if n % n_classes:
                raise ValueError(f"n_samples {n} cannot be divided into {n_classes} equal classes")
        for sizes in self.sizes:
            if len(sizes) != n_classes:
                raise ValueError(
                    f"each entry of sizes must have {n_classes} numbers, got {list(sizes)}"
                )
        return self

    def instances(self) -> Iterator[Instance]:
        """One data set for each list of class sizes and number of features, in order."""
        n_classes = len(self.means)
        equal = ((n // n_classes,) * n_classes for n in self.n_samples)
        for sizes, n_features in itertools.product((*equal, *self.sizes), self.n_features):
            yield Instance(self, sizes, sum(sizes), n_features)


class Digits(Entry):
    """The handwritten digits of scikit-learn: 1797 images of 64 pixels, 10 classes.

    `n_samples` rows are drawn for each repeat, without replacement, classes in proportion; if it is
    left out there is one repeat, of all rows.
    """

    source: Literal["digits"]
    name: Name = "digits"
    n_samples: Count | None = None
    scale: Scale = "unit-interval"

    def instances(self) -> Iterator[Instance]:
        """The one data set of all digits, or of `n_samples` of them."""
        yield Instance(self, (), self.n_samples, None)


class File(Entry):
    """A file or folder that `nc1fast.datasets.load` reads, with its arguments; paths are relative
    to the study's file.
    """

    source: Literal["file"]
    name: Name
    path: str
    keys: tuple[str, str] | None = None
    labels: str | int | None = None
    n_samples: Count | None = None
    scale: Scale = "none"

    @property
    def files(self) -> list[Path]:
        """The files that are read, that of the labels among them.

        Raises
        ------
        ValueError
            If the path is that of a folder without data.
        """
        return files_read(Path(self.path), self.labels if isinstance(self.labels, str) else None)

    def relative_to(self, folder: Path) -> File:
        """The source with its relative paths taken from a folder."""
        update = {"path": str(folder / self.path)}
        if isinstance(self.labels, str):
            labels = str(folder / self.labels)
            if not names_a_part(folder / self.path, labels):
                update["labels"] = labels
        return self.model_copy(update=update)

    def instances(self) -> Iterator[Instance]:
        """The one data set that the file holds."""
        yield Instance(self, (), self.n_samples, None)


Source: TypeAlias = GaussianMixture | Digits | File


@dataclass(frozen=True)
class Instance:
    """One data set that a source describes; each repeat draws it with another seed."""

    source: Source
    sizes: tuple[int, ...]  # class sizes of a mixture; () where only the data can tell
    n_samples: int | None  # None where only the data can tell
    n_features: int | None

    @property
    def id(self) -> str:
        """Identity of the data set: equal in two arms means equal data, repeat by repeat."""
        if isinstance(self.source, GaussianMixture):
            return f"{self.source.name}/sizes={joined(self.sizes)}/d0={self.n_features}"
        return f"{self.source.name}/N={self.n_samples or 'all'}"

    @property
    def random(self) -> bool:
        """Whether each repeat draws rows of its own."""
        return isinstance(self.source, GaussianMixture) or self.n_samples is not None

    def draw(self, seed: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Draw or load X of shape (n_samples, n_features) and y of shape (n_samples,).

        Raises
        ------
        FileNotFoundError, ValueError
            As `nc1fast.datasets.load`; or if more rows are requested than there are.
        """
        source = self.source
        if isinstance(source, GaussianMixture):
            return datasets.gaussian_mixture(
                source.means, source.stds, self.sizes, n_features=self.n_features, seed=seed
            )
        if isinstance(source, Digits):
            X, y = datasets.digits(source.scale)
        else:
            X, y = datasets.load(
                source.path, keys=source.keys, labels=source.labels, scale=source.scale
            )
        if source.n_samples is None:
            return X, y
        if source.n_samples > len(X):
            raise ValueError(
                f"{source.name} has {len(X)} rows, n_samples asks for {source.n_samples}"
            )
        rows = _stratified(y, source.n_samples, np.random.default_rng(seed))
        return X[rows], y[rows]


def _stratified(y: NDArray[Any], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Sorted indices (n,) of rows drawn without replacement; class sizes are in proportion,
    whatever the seed.
    """
    _, y, counts = np.unique(y, return_inverse=True, return_counts=True)
    exact = counts * (n / len(y))
    sizes = np.floor(exact).astype(np.int64)
    largest = np.argsort(sizes - exact, kind="stable")[: n - sizes.sum()]
    sizes[largest] += 1  # the largest remainders, so that the sizes add up to n
    chosen = [rng.permutation(np.flatnonzero(y == c))[:k] for c, k in enumerate(sizes)]
    return np.sort(np.concatenate(chosen))
