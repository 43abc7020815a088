"""Arrays, data sets, loaders and iterables as batches of inputs and classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from nc1fast.inputs.arrays import host_array
from nc1fast.inputs.label_index import LabelIndex
from nc1fast.inputs.labelled import Classes
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
        self.module, self.settings = module, settings
        self.data, self.y = _loader(data, settings.batch_size), y
        self.whole = _is_whole(self.data) or not (y is None or isinstance(y, str) or callable(y))
        self.classes = LabelIndex()
        self.n_classes: int | None = None  # where it is known beforehand
        self._beside: NDArray[np.int64] | None = None  # classes of all rows of arrays with y
        if self.whole:
            self._check_whole()
        elif isinstance(self.data, str | bytes) or not isinstance(self.data, Iterable):
            raise TypeError(
                f"data must be arrays with y, or labelled batches: a Dataset, DataLoader or iterable, got {shown(data)}"
            )
        self.again = self.whole or iter_is_new(self.data)

    def _check_whole(self) -> None:
        """Check arrays: rows of one number, and labels for them."""
        labels_inside = self.y is None or isinstance(self.y, str) or callable(self.y)
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
        flat, kept = self._flat(labels, self.n_rows)
        size = int(np.prod(self._shape(labels, self.n_rows)))
        if kept is not None and np.shape(flat) == (size,):
            flat, size = flat[kept], int(kept.sum())
        self.n_classes = len(Classes.of(flat, size))
        if not labels_inside:
            self._beside = self._codes(labels, self.n_rows)

    def batches(self) -> Iterator[tuple[Batch, Any]]:
        """Every batch, its inputs on the device of the module, and what `forward` is given."""
        if self.whole:
            yield from self._slices()
            return
        for batch in self.data:
            given = self._split(batch)
            n = _rows_of(given)
            yield self._made(given, self._codes(given.labels, n))

    def _slices(self) -> Iterator[tuple[Batch, Any]]:
        for start in range(0, self.n_rows, self.settings.batch_size):
            part = slice(start, start + self.settings.batch_size)
            if isinstance(self.data, Mapping | tuple):
                rows = mapped(lambda t: t[part], self.data)  # noqa: B023
            else:
                rows = placed(self.module, self.data[part], "data")
            if self._beside is None:
                given = self._split(rows)
                yield self._made(given, self._codes(given.labels, _rows_of(given)))
            else:
                codes = self._beside[part]
                yield self._made(Given((rows, torch.from_numpy(codes)), rows, None), codes)

    def _made(self, given: Given, codes: NDArray[np.int64]) -> tuple[Batch, Any]:
        """A batch on the device, and all of it as `forward` takes it."""
        mask = as_torch(given.inputs.get(_MASK)) if isinstance(given.inputs, Mapping) else None

        def moved(value: Any) -> Any:
            value = as_torch(value)
            return fitted(self.module, value) if isinstance(value, torch.Tensor) else value

        whole = given.whole if self.settings.forward is not None else None
        return Batch(mapped(moved, given.inputs), codes, mask), mapped(moved, whole)

    def _split(self, batch: Any) -> Given:
        """The inputs and the labels of a batch.

        Raises
        ------
        TypeError
            For a batch that has no labels, or none by that name.
        """
        if isinstance(batch, Mapping):
            return self._of_mapping(batch)
        if not isinstance(batch, tuple | list) or len(batch) < 2:
            if callable(self.y):
                return Given(batch, batch, self.y(batch))
            raise TypeError(
                f"data must give batches (x, y) or mappings with labels, got {type(batch).__name__}; or name y"
            )
        inputs = batch[0] if len(batch) == 2 else tuple(batch[:-1])
        if isinstance(self.y, str):
            raise TypeError(f"y={self.y!r} names a key, but data gives batches (x, y)")
        return Given(batch, inputs, self.y(batch) if callable(self.y) else batch[-1])

    def _of_mapping(self, batch: Mapping[str, Any]) -> Given:
        if callable(self.y):
            return Given(batch, batch, self.y(batch))
        names = (self.y,) if isinstance(self.y, str) else _LABELS
        name = next((name for name in names if name in batch), None)
        if name is None:
            raise TypeError(
                f"data must give batches with labels, by y='KEY' or one of {', '.join(_LABELS)}; "
                f"there are {', '.join(map(str, batch))}"
            )
        return Given(batch, {k: v for k, v in batch.items() if k != name}, batch[name])

    def _flat(self, labels: Any, n: int) -> tuple[Any, NDArray[np.bool_] | None]:
        """Labels along one axis, and which of them count; None: all."""
        kept = None
        ndim = getattr(labels, "ndim", None)
        if ndim is not None and ndim > 1 and self.settings.of_tokens:
            labels = host_array(labels, "y")
            if len(labels) != n:
                raise ValueError(f"y must have labels of {n} samples, got shape {labels.shape}")
            labels = labels.reshape(-1)
        ignored = self.settings.ignore_index
        if ignored is None and ndim is not None and ndim > 1:
            ignored = IGNORED
        if ignored is not None:
            labels = host_array(labels, "y")
            kept = labels != ignored if labels.dtype.kind in "iu" else None
        return labels, kept

    def _shape(self, labels: Any, n: int) -> tuple[int, ...]:
        """The shape that the labels of n samples must have: their own where tokens have labels."""
        shape = tuple(getattr(labels, "shape", (n,)))
        return shape if len(shape) > 1 and self.settings.of_tokens else (n,)

    def _codes(self, labels: Any, n: int) -> NDArray[np.int64]:
        """Classes of the labels of a batch, in their shape; -1 for those that do not count."""
        flat, kept = self._flat(labels, n)
        shape = self._shape(labels, n)
        size = int(np.prod(shape))
        if kept is None:
            return self.classes.codes(flat, size).reshape(shape)
        codes = np.full(size, -1, dtype=np.int64)
        if flat.shape != codes.shape:
            self.classes.codes(flat, size)  # says what is wrong
        codes[kept] = self.classes.codes(flat[kept], int(kept.sum()))
        return codes.reshape(shape)

    def sort(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Number the classes by their labels from now on, as `LabelIndex.sort`."""
        order, labels = self.classes.sort()
        if self._beside is not None:
            rank = np.full(len(order) + 1, -1, dtype=np.int64)  # the last is that of -1
            rank[order] = np.arange(len(order))
            self._beside = rank[self._beside]
        return order, labels


def iter_is_new(data: Iterable[Any]) -> bool:
    """Whether an iterable can be passed over again: iterators, generators among them, cannot."""
    return not hasattr(data, "__next__")


def _loader(data: Any, batch_size: int) -> Any:
    """A DataLoader of a Dataset; anything else as it is."""
    if isinstance(data, torch.utils.data.Dataset):
        return torch.utils.data.DataLoader(data, batch_size=batch_size)
    return data


def _is_whole(data: Any) -> bool:
    """Whether data are arrays, or a structure of them, with all rows: not batches of them."""
    if isinstance(data, tuple):
        return bool(data) and all(map(is_array, data))
    return isinstance(data, Mapping) or is_array(data)


def _rows_of(given: Given) -> int:
    """Rows of a batch: of its first tensor or, without one, of its labels."""
    sizes: list[int] = []
    mapped(lambda t: sizes.append(len(t)) if t.ndim else None, given.inputs)
    return sizes[0] if sizes else len(given.labels)
