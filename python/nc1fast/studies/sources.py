"""Where the data of a study come from, and the data sets that a source describes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import Field, model_validator

from nc1fast import datasets
from nc1fast.studies.fields import Count, Entry, Name, Number, Variance, joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Scale = Literal["none", "unit-interval", "standardize", "unit-norm"]


class GaussianMixture(Entry):
    """Class c is N(means[c] * ones, stds[c]^2 I); one data set per size and number of features.

    `n_samples` lists totals that are divided equally; `sizes` lists the class sizes one by one.
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
        """One per list of class sizes and number of features, in order."""
        n_classes = len(self.means)
        equal = ((n // n_classes,) * n_classes for n in self.n_samples)
        for sizes, n_features in itertools.product((*equal, *self.sizes), self.n_features):
            yield Instance(self, sizes, sum(sizes), n_features)


class Digits(Entry):
    """The handwritten digits of scikit-learn: 1797 images of 64 pixels, 10 classes.

    `n_samples`: rows drawn afresh for each repeat, without replacement, classes in proportion; all of
    them, once, if left out.
    """

    source: Literal["digits"]
    name: Name = "digits"
    n_samples: Count | None = None
    scale: Scale = "unit-interval"

    def instances(self) -> Iterator[Instance]:
        """The one data set."""
        yield Instance(self, (), self.n_samples, None)


class File(Entry):
    """A data file, as `nc1fast.datasets.load` reads it. `path` is relative to the study's file."""

    source: Literal["file"]
    name: Name
    path: str
    keys: tuple[str, str] | None = None
    labels: str | None = None
    n_samples: Count | None = None
    scale: Scale = "none"

    def instances(self) -> Iterator[Instance]:
        """The one data set."""
        yield Instance(self, (), self.n_samples, None)


Source: TypeAlias = GaussianMixture | Digits | File


@dataclass(frozen=True)
class Instance:
    """One data set of a source, but for its repeat."""

    source: Source
    sizes: tuple[int, ...]  # of a mixture; () where only the data can tell
    n_samples: int | None  # None where only the data can tell
    n_features: int | None

    @property
    def id(self) -> str:
        """Names the data set, the same in every arm: data of the same name and repeat are the same."""
        if isinstance(self.source, GaussianMixture):
            return f"{self.source.name}/sizes={joined(self.sizes)}/d0={self.n_features}"
        return f"{self.source.name}/N={self.n_samples or 'all'}"

    @property
    def random(self) -> bool:
        """Whether repeats draw other rows."""
        return isinstance(self.source, GaussianMixture) or self.n_samples is not None

    def draw(self, seed: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Draw or load X of shape (n_samples, n_features) and y of shape (n_samples,).

        Raises
        ------
        FileNotFoundError, ValueError
            As `nc1fast.datasets.load`; or if more rows are asked for than there are.
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
    """Draw n rows without replacement, classes in proportion: the same sizes whatever the seed."""
    _, y, counts = np.unique(y, return_inverse=True, return_counts=True)
    exact = counts * (n / len(y))
    sizes = np.floor(exact).astype(np.int64)
    largest = np.argsort(sizes - exact, kind="stable")[: n - sizes.sum()]
    sizes[largest] += 1  # the largest remainders, so that the sizes add up to n
    chosen = [rng.permutation(np.flatnonzero(y == c))[:k] for c, k in enumerate(sizes)]
    return np.sort(np.concatenate(chosen))
