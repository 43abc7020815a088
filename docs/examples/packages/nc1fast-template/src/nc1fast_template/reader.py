"""A kind of file: LIBSVM's text, `label index:value index:value ...` in a line, indices from 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nc1fast.datasets import as_reader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_LARGEST = 2**31  # bytes of the dense rows


def _read(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    labels, rows = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        label, *pairs = line.partition("#")[0].split() or [""]
        if not label:
            continue
        try:
            labels.append(float(label))
            rows.append([(int(i), float(x)) for i, _, x in (pair.partition(":") for pair in pairs)])
        except ValueError:
            raise ValueError(f"{path}: line {number} is not LIBSVM's: {line[:40]!r}") from None
        if any(i < 1 for i, _ in rows[-1]):
            raise ValueError(f"{path}: line {number} has an index below 1")
    n_features = max((i for row in rows for i, _ in row), default=0)
    if 8 * len(rows) * n_features > _LARGEST:  # what a file says is no reason to take all memory
        raise ValueError(f"{path}: {len(rows)} rows of {n_features} features are too many")
    X = np.zeros((len(rows), n_features))
    for row, pairs in zip(X, rows, strict=True):
        for i, x in pairs:
            row[i - 1] = x
    return X, np.array(labels)


libsvm = as_reader(_read, name=".libsvm or .svm", suffixes=[".libsvm", ".svm"])
