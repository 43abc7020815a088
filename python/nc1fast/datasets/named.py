"""Files of named arrays (.npz, .mat, HDF5, PyTorch, batches of CIFAR): which array is the data, and
which the labels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from nc1fast.datasets.damage import malformed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Members: TypeAlias = Mapping[str, Callable[[], "NDArray[Any]"]]  # arrays by name, read when called
# Names that are tried, in this order and in upper or lower case; the last pair is that of Keras's
# data sets.
DATA_NAMES = (
    *("x", "data", "features", "embeddings", "inputs"),
    *("images", "image", "img", "pixel_values", "x_train"),
)
LABEL_NAMES = ("y", "labels", "label", "targets", "target", "classes", "fine_labels", "y_train")


class Unwanted(NamedTuple):
    """In place of labels: rows alone are wanted.

    Attributes
    ----------
    name : str, optional
        Of an array or a column that is none of the data where the file has it, beside those with
        the usual names of labels.
    """

    name: str | None = None


def chosen(
    path: Path, names: Sequence[str], keys: Sequence[str | None] | None, labels: Any
) -> tuple[str, str | None]:
    """Names of the arrays of the data and of the labels, the latter None where `labels` are not in
    the file.

    Parameters
    ----------
    path : Path
    names : sequence of str
        All arrays of the file.
    keys : pair of str, optional
        Decides; of the data alone where the second is None.
    labels : optional
        The name of an array, or whatever else the labels are given as.

    Raises
    ------
    ValueError
        If a name that is asked for is not there, or the usual ones leave open which array is meant.
    """
    data, label = (None, None) if keys is None else keys
    for key in (data, label):
        if key is not None and key not in names:
            raise malformed(path, f"no array {key!r}; {listing(names)}")
    if data is not None and label is not None:
        return data, label
    label = _first(path, names, LABEL_NAMES) if labels is None else inside(path, names, labels)
    others = _beside_labels(names, label, labels)
    data = data or _first(path, others, DATA_NAMES)
    if data is None and len(others) == 1 and (label is not None or labels is not None):
        data = others[0]
    if label is None and labels is None and data is not None and len(names) == 2:
        [label] = (name for name in names if name != data)
    if data is None or (label is None and labels is None):
        what, tried = ("data", DATA_NAMES) if data is None else ("labels", LABEL_NAMES)
        raise malformed(
            path,
            f"none of its arrays is named as {what} are ({', '.join(tried)}): name two by keys=, or one as FILE::NAME; {listing(names)}",
        )
    return data, label


def _beside_labels(names: Sequence[str], label: str | None, labels: Any) -> list[str]:
    """The arrays that may be the data: none that is named as labels are where these lie elsewhere,
    unless there are no others.
    """
    if label is not None or labels is None:
        return [name for name in names if name != label]
    kept = [n for n in names if n.lower() not in LABEL_NAMES and n != unwanted(labels)]
    return kept or list(names)


def unwanted(labels: Any) -> str | None:
    """The name of what `Unwanted` leaves out; None for other labels."""
    return labels.name if isinstance(labels, Unwanted) else None


def inside(path: Path, names: Sequence[str], labels: Any) -> str | None:
    """The array or column that labels name, None if they are an array or a file; ValueError for a
    name of neither.
    """
    if not isinstance(labels, str):
        return None
    if labels in names:
        return labels
    if not os.path.exists(labels.partition("::")[0]):  # noqa: PTH110  (null bytes)
        raise malformed(
            path, f"labels {labels!r} are neither a part of it nor a file; {listing(names)}"
        )
    return None


def listing(names: Sequence[str]) -> str:
    """The arrays that a file has, for an error: at most eight."""
    some = ", ".join(map(repr, names[:8])) or "no arrays"
    return f"it has {some}{', ...' if len(names) > 8 else ''}"


def _first(path: Path, names: Sequence[str], tried: Sequence[str]) -> str | None:
    """The first name tried that is there; ValueError if it is there twice, in upper and lower case."""
    for word in tried:
        there = [name for name in names if name.lower() == word]
        if len(there) > 1:
            raise malformed(
                path, f"has both {' and '.join(map(repr, there))}: name two arrays by keys="
            )
        if there:
            return there[0]
    return None
