"""Arrays, data sets, loaders and iterables as batches of inputs and classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from nc1fast.inputs.arrays import host_array
from nc1fast.inputs.labelled import Classes, LabelIndex
from nc1fast.networks.probing.modules import fitted, placed
from nc1fast.networks.probing.outputs import Batch, as_torch, is_array, leaves, mapped
from nc1fast.networks.probing.settings import IGNORED, ProbeSettings
from nc1fast.support.arguments import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_LABELS = ("labels", "label", "targets", "target", "y")  # of a mapping, the first that is there
_MASK = "attention_mask"


class Given(NamedTuple):
    """A batch as the caller holds it: all of it, what the module is called with, and its labels."""

    whole: Any
    inputs: Any
    labels: Any


class Source:
    """Batches of labelled inputs, once or as often as requested.

    Attributes
    ----------
    again : bool
        Whether a second pass is possible.
    classes : LabelIndex
        The classes so far.
    """

    def __init__(self, module: Any, data: Any, y: Any, settings: ProbeSettings) -> None:
        if isinstance(data, torch.utils.data.Dataset):
            data = torch.utils.data.DataLoader(data, batch_size=settings.batch_size)
        self.module, self.data, self.y, self.settings = module, data, y, settings
        self.classes = LabelIndex()
        self.n_classes: int | None = None  # where it is known beforehand
        self._codes_of_rows: NDArray[np.int64] | None = None  # of arrays with y
        labels_inside = y is None or isinstance(y, str) or callable(y)
        self.whole = _is_whole(data) or not labels_inside
        if self.whole:
            self._check_whole(labels_inside=labels_inside)
        elif isinstance(data, str | bytes) or not isinstance(data, Iterable):
            raise TypeError(
                "data must be arrays with y, or labelled batches: a Dataset, DataLoader or "
                f"iterable, got {shown(data)}"
            )
        self.again = self.whole or iter_is_new(data)

    def _check_whole(self, *, labels_inside: bool) -> None:
        """Check arrays: rows of one number, and labels for them."""
        if isinstance(self.data, torch.utils.data.DataLoader):
            raise TypeError("y must be left out for a Dataset or DataLoader, whose batches have it")
        if not labels_inside and not isinstance(self.data, Mapping | tuple):
            if not isinstance(self.data, torch.Tensor):
                self.data = host_array(self.data, "data")
            placed(self.module, self.data[:1] if self.data.ndim else self.data, "data")
            self.n_rows = len(self.data)
        else:
            self.data = mapped(as_torch, self.data)
            sizes = {len(t) if t.ndim else 0 for _, t in leaves(self.data)}
            if len(sizes) != 1 or not min(sizes):
                raise ValueError(
                    f"data must hold arrays with one number of rows, got {sorted(sizes)}"
                )
            (self.n_rows,) = sizes
        labels = self._split(self.data).labels if labels_inside else self.y
        counted, kept, shape = self._counted(labels, self.n_rows)
        n_counted = int(np.prod(shape)) if kept is None else len(counted)
        self.n_classes = len(Classes.of(counted, n_counted))
        if not labels_inside:
            self._codes_of_rows = self._codes(labels, self.n_rows)

    def batches(self) -> Iterator[tuple[Batch, Any]]:
        """Every batch, its inputs on the device of the module, and what `forward` is given."""
        for given, codes in self._slices() if self.whole else map(self._coded, self.data):
            mask = as_torch(given.inputs.get(_MASK)) if isinstance(given.inputs, Mapping) else None
            whole = given.whole if self.settings.forward is not None else None
            inputs = mapped(self._moved, given.inputs)
            yield Batch(inputs, codes, mask), mapped(self._moved, whole)

    def _coded(self, batch: Any) -> tuple[Given, NDArray[np.int64]]:
        """A batch and its classes."""
        given = self._split(batch)
        return given, self._codes(given.labels, _rows_of(given))

    def _slices(self) -> Iterator[tuple[Given, NDArray[np.int64]]]:
        """Batches of arrays, and their classes."""
        for start in range(0, self.n_rows, self.settings.batch_size):
            part = slice(start, start + self.settings.batch_size)
            if isinstance(self.data, Mapping | tuple):
                rows = mapped(lambda t: t[part], self.data)  # noqa: B023
            else:
                rows = placed(self.module, self.data[part], "data")
            if self._codes_of_rows is None:
                yield self._coded(rows)
            else:
                codes = self._codes_of_rows[part]
                yield Given((rows, torch.from_numpy(codes)), rows, None), codes

    def _moved(self, value: Any) -> Any:
        """An array or tensor on the device of the module."""
        value = as_torch(value)
        return fitted(self.module, value) if isinstance(value, torch.Tensor) else value

    def _split(self, batch: Any) -> Given:
        """The inputs and the labels of a batch.

        Raises
        ------
        TypeError
            For a batch that has no labels, or none by that name.
        """
        y = self.y
        if isinstance(batch, Mapping) and not callable(y):
            names = (y,) if isinstance(y, str) else _LABELS
            name = next((name for name in names if name in batch), None)
            if name is None:
                raise TypeError(
                    f"data must give batches with labels, by y='KEY' or one of "
                    f"{', '.join(_LABELS)}; there are {', '.join(map(str, batch))}"
                )
            return Given(batch, {k: v for k, v in batch.items() if k != name}, batch[name])
        if isinstance(batch, tuple | list) and len(batch) >= 2:
            if isinstance(y, str):
                raise TypeError(f"y={y!r} names a key, but data gives batches (x, y)")
            inputs = batch[0] if len(batch) == 2 else tuple(batch[:-1])
            return Given(batch, inputs, y(batch) if callable(y) else batch[-1])
        if callable(y):
            return Given(batch, batch, y(batch))
        raise TypeError(
            "data must give batches (x, y) or mappings with labels, got "
            f"{type(batch).__name__}; or name y"
        )

    def _counted(
        self, labels: Any, n: int
    ) -> tuple[Any, NDArray[np.bool_] | None, tuple[int, ...]]:
        """Labels of n samples that count, along one axis; which of all they are, None for all; and
        the shape of all: their own where tokens have labels.
        """
        shape = tuple(getattr(labels, "shape", (n,)))
        several = len(shape) > 1
        ignored = self.settings.ignore_index
        if ignored is None and several:
            ignored = IGNORED
        if ignored is not None:
            labels = host_array(labels, "y")
        if several and self.settings.of_tokens:
            if len(labels) != n:
                raise ValueError(f"y must have labels of {n} samples, got shape {shape}")
            labels = labels.reshape(-1)
        else:
            shape = (n,)
        if ignored is None or labels.dtype.kind not in "iu" or labels.shape != (np.prod(shape),):
            return labels, None, shape
        kept = labels != ignored
        return labels[kept], kept, shape

    def _codes(self, labels: Any, n: int) -> NDArray[np.int64]:
        """Classes of the labels of a batch, in their shape; -1 for those that do not count."""
        counted, kept, shape = self._counted(labels, n)
        if kept is None:
            return self.classes.codes(counted, int(np.prod(shape))).reshape(shape)
        codes = np.full(len(kept), -1, dtype=np.int64)
        codes[kept] = self.classes.codes(counted, len(counted))
        return codes.reshape(shape)

    def sort(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Number the classes by their labels from now on, as `LabelIndex.sort`."""
        order, labels = self.classes.sort()
        if self._codes_of_rows is not None:
            rank = np.full(len(order) + 1, -1, dtype=np.int64)  # the last is that of -1
            rank[order] = np.arange(len(order))
            self._codes_of_rows = rank[self._codes_of_rows]
        return order, labels


def iter_is_new(data: Iterable[Any]) -> bool:
    """Whether an iterable can be passed over again: iterators, generators among them, cannot."""
    return not hasattr(data, "__next__")


def _is_whole(data: Any) -> bool:
    """Whether data are arrays, or a structure of them, with all rows: not batches of them."""
    if isinstance(data, tuple):
        return bool(data) and all(map(is_array, data))
    return isinstance(data, Mapping) or is_array(data)


def _rows_of(given: Given) -> int:
    """Rows of a batch: of its first array or, without one, of its labels."""
    sizes: list[int] = []
    mapped(lambda t: sizes.append(len(t)) if t.ndim else None, given.inputs)
    return sizes[0] if sizes else len(given.labels)
