"""The cells of a study: one data set each, with all its kernels. A cell is the unit of work."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast import datasets
from nc1fast.studies.description import (
    Arm,
    Digits,
    File,
    GaussianMixture,
    KernelRow,
    ReleasedErfNTK,
    Study,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_OVERHEAD = 0.01  # seconds of a cell besides its kernels: data, sums, journal
_PER_SECOND = 5e9  # operations of `pair_operations` on two cores
FILTERS = ("arm", "dataset", "N", "d0", "sizes", "repeat")


@dataclass(frozen=True)
class Cell:
    """One data set of a study: where it comes from and which repeat it is."""

    arm: Arm
    data: GaussianMixture | Digits | File
    sizes: tuple[int, ...]  # of a mixture; () where only the data can tell
    n_samples: int | None  # None where only the data can tell
    n_features: int | None
    repeat: int
    study_seed: int

    @cached_property
    def id(self) -> str:
        """Names the cell in the journal; the same in every run of the study."""
        parts = [self.arm.name, self._data_id, f"repeat={self.repeat}"]
        return "/".join(parts)

    @property
    def _data_id(self) -> str:
        if isinstance(self.data, GaussianMixture):
            return f"{self.data.name}/sizes={_joined(self.sizes)}/d0={self.n_features}"
        return f"{self.data.name}/N={self.n_samples or 'all'}"

    @cached_property
    def seed(self) -> int:
        """A 32-bit seed, from the study's seed, the data and the repeat."""
        words = (self.study_seed, zlib.crc32(self._data_id.encode()), self.repeat)
        return int(np.random.SeedSequence(words).generate_state(1)[0])

    @property
    def kernels(self) -> list[tuple[KernelRow, Any]]:
        """What the table says of each kernel, and the kernel."""
        return [pair for entry in self.arm.kernels for pair in entry.expand()]

    @property
    def n_rows(self) -> int:
        """Rows that the cell adds to the table."""
        return len(self.kernels) * len(self.arm.conventions)

    def draw(self) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Draw or load X of shape (n_samples, n_features) and y of shape (n_samples,).

        Raises
        ------
        FileNotFoundError, ValueError
            As `nc1fast.datasets.load`; or if more rows are asked for than there are.
        """
        data = self.data
        if isinstance(data, GaussianMixture):
            return datasets.gaussian_mixture(
                data.means, data.stds, self.sizes, n_features=self.n_features, seed=self.seed
            )
        if isinstance(data, Digits):
            X, y = datasets.digits(data.scale)
        else:
            X, y = datasets.load(data.path, keys=data.keys, labels=data.labels, scale=data.scale)
        if data.n_samples is None:
            return X, y
        if data.n_samples > len(X):
            raise ValueError(f"{data.name} has {len(X)} rows, n_samples asks for {data.n_samples}")
        rows = _stratified(y, data.n_samples, np.random.default_rng(self.seed))
        return X[rows], y[rows]

    def pair_operations(self) -> float:
        """Estimate the work: pairs of rows times the operations of a pair."""
        n = self.n_samples or 4096
        operations = 0.0
        for row, kernel in self.kernels:
            if isinstance(kernel, ReleasedErfNTK):
                operations += 500.0  # dense, in NumPy: twice the pairs, several passes over memory
            else:
                operations += 25.0 * row["depth"]
        return n * n / 2 * ((self.n_features or 128) + operations)


def plan(study: Study, only: Sequence[str] = ()) -> list[Cell]:
    """List the cells of a study in the order of its table.

    Parameters
    ----------
    study : Study
    only : sequence of str
        Filters `"key=value[,value...]"`, all of which must hold; keys: arm, dataset, N, d0, sizes, repeat.

    Raises
    ------
    ValueError
        If a filter cannot be read, names an unknown key, or leaves nothing.
    """
    filters = [_parse_filter(text) for text in only]
    cells = list(_cells(study))
    for key, values in filters:
        kept = [cell for cell in cells if _value(cell, key) in values]
        if not kept:
            there = dict.fromkeys(_value(cell, key) for cell in cells)
            raise ValueError(
                f"only {key}={','.join(values)} leaves no cell; there are {', '.join(there)}"
            )
        cells = kept
    return cells


def describe_plan(study: Study, only: Sequence[str] = ()) -> str:
    """Say what a run would do: cells and rows of each arm, and a rough estimate of the time."""
    cells = plan(study, only)
    lines = [f"{study.title} ({study.name}{', ' + study.preset if study.preset else ''})"]
    for arm in dict.fromkeys(cell.arm.name for cell in cells):
        members = [cell for cell in cells if cell.arm.name == arm]
        names = ", ".join(dict.fromkeys(cell.data.name for cell in members))
        rows = sum(cell.n_rows for cell in members)
        lines.append(
            f"  {arm}: {len(members)} cell{'s' * (len(members) > 1)} of {names}, {rows} rows"
        )
    seconds = sum(_OVERHEAD + cell.pair_operations() / _PER_SECOND for cell in cells)
    rows = sum(cell.n_rows for cell in cells)
    lines.append(
        f"{len(cells)} cells, {rows} rows, about {max(1, round(seconds))} s on two cores, and the figures"
    )
    return "\n".join(lines)


def _cells(study: Study) -> Iterator[Cell]:
    for arm in study.arms:
        repeats = arm.repeats or study.repeats
        for data in arm.data:
            if isinstance(data, GaussianMixture):
                for sizes, n_features in data.instances():
                    for repeat in range(repeats):
                        yield Cell(arm, data, sizes, sum(sizes), n_features, repeat, study.seed)
            else:  # all rows of a data set are the same each time: one repeat
                for repeat in range(repeats if data.n_samples else 1):
                    yield Cell(arm, data, (), data.n_samples, None, repeat, study.seed)


def _stratified(y: NDArray[Any], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw n rows without replacement, classes in proportion: the same sizes whatever the seed."""
    _, y, counts = np.unique(y, return_inverse=True, return_counts=True)
    exact = counts * (n / len(y))
    sizes = np.floor(exact).astype(np.int64)
    largest = np.argsort(sizes - exact, kind="stable")[: n - sizes.sum()]
    sizes[largest] += 1  # the largest remainders, so that the sizes add up to n
    chosen = [rng.permutation(np.flatnonzero(y == c))[:k] for c, k in enumerate(sizes)]
    return np.sort(np.concatenate(chosen))


def _parse_filter(text: str) -> tuple[str, list[str]]:
    key, separator, values = text.partition("=")
    if not separator or not values:
        raise ValueError(f"only takes key=value[,value], got {text!r}")
    if key not in FILTERS:
        raise ValueError(f"only knows the keys {', '.join(FILTERS)}, got {key!r}")
    return key, values.split(",")


def _value(cell: Cell, key: str) -> str:
    values = {
        "arm": cell.arm.name,
        "dataset": cell.data.name,
        "N": str(cell.n_samples or "all"),
        "d0": str(cell.n_features or "all"),
        "sizes": _joined(cell.sizes) or "all",
        "repeat": str(cell.repeat),
    }
    return values[key]


def _joined(sizes: Sequence[int]) -> str:
    return ":".join(map(str, sizes))
