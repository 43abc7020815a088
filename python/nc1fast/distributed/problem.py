"""What is summed: checked rows, classes, kernels and settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.arrays import as_labels, as_rows, two_classes
from nc1fast.inputs.file_rows import FileRows
from nc1fast.inputs.files import as_source, read_labels
from nc1fast.kernels.classes import Kernel
from nc1fast.sums import streaming
from nc1fast.sums.memory import as_limit

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.sums.streaming import Survey

    Rows = NDArray[Any] | FileRows


@dataclass(frozen=True, eq=False)
class Problem:
    """Checked data, kernels and settings of one pass.

    Attributes
    ----------
    rows : ndarray or FileRows of shape (n_samples, n_features)
    classes : ndarray of int32 of shape (n_samples,)
        Indices into `labels`.
    device : str
        Of each worker, under the name it has there.
    state : (bytes, ns) or None
        Of the file of the rows, before anything was read of it.
    """

    rows: Rows
    classes: NDArray[np.int32]
    labels: NDArray[Any]
    kernels: tuple[Kernel, ...]
    statistics: str
    dtype: str
    device: str
    memory_limit: int | None
    state: tuple[int, ...] | None = None

    @classmethod
    def of(
        cls,
        X: ArrayLike | str | os.PathLike[str],
        y: ArrayLike,
        kernels: Sequence[Any],
        *,
        statistics: str,
        dtype: str,
        device: str,
        memory_limit: int | None,
    ) -> Problem:
        """Check everything once, before anything is sent anywhere.

        Raises
        ------
        TypeError, ValueError
            As of `nc1fast.collapse`; for kernels that are no kernel objects.
        OSError
            If X is a path that cannot be read.
        """
        if not kernels or not all(isinstance(kernel, Kernel) for kernel in kernels):
            raise ValueError(
                "executor, journal and plans need a kernel object or a list of them: explicit features, "
                "Gram matrices and callables are summed in one process"
            )
        streaming.check_pass(statistics, dtype, device)
        memory_limit = as_limit(memory_limit)
        source = as_source(X)
        # The survey looks for NaN and Inf in a file itself.
        rows = source if isinstance(source, FileRows) else as_rows(source, "X")
        state = source.state() if isinstance(source, FileRows) else None
        classes, labels = as_labels(read_labels(y), len(rows))
        two_classes(labels)
        settings = (tuple(kernels), statistics, dtype, device, memory_limit, state)
        return cls(rows, classes, labels, *settings)

    def sample(self, order: NDArray[np.intp], n_rows: int) -> Problem:
        """The same on about n_rows rows, of every class its share; `order`: rows by class.

        The first and the last class are there; of the others, those that are smaller than a share of one row may not be.
        """
        taken = order[np.unique(np.linspace(0, len(order) - 1, n_rows).astype(np.int64))]
        present, classes = np.unique(self.classes[taken], return_inverse=True)
        return replace(
            self,
            rows=np.ascontiguousarray(self.rows[taken]),
            classes=classes.astype(np.int32),
            labels=self.labels[present],
            state=None,
        )

    def survey(self, n_threads: int | None) -> Survey:
        """What every bundle needs to know about all rows, and what identifies the problem."""
        return streaming.survey(
            *(self.rows, self.classes, self.kernels),
            dtype=self.dtype,
            row_sums=self.statistics == "all",
            n_threads=n_threads,
            device=self.device,
        )
