"""What is summed: checked rows, classes, kernels and settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.file_rows import FileRows
from nc1fast.inputs.files import as_source
from nc1fast.inputs.labelled import Classes, LabelledData
from nc1fast.kernels.classes import Kernel
from nc1fast.sums import streaming

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from nc1fast.sums.settings import Settings
    from nc1fast.sums.streaming import Survey


@dataclass(frozen=True, eq=False)
class Problem:
    """Checked data, kernels and settings of one pass.

    Attributes
    ----------
    settings : Settings
        The device is that of each worker, under the name it has there; threads are those of the plan.
    state : (bytes, ns) or None
        Of the file of the rows, before anything was read of it.
    """

    data: LabelledData
    kernels: tuple[Kernel, ...]
    settings: Settings
    state: tuple[int, ...] | None = None

    @classmethod
    def of(
        cls,
        X: ArrayLike | str | os.PathLike[str],
        y: ArrayLike,
        kernels: Sequence[Any],
        settings: Settings,
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
        source = as_source(X)
        state = source.state() if isinstance(source, FileRows) else None
        # The survey looks for NaN and Inf in a file itself.
        return cls(LabelledData.of(source, y, unread=True), tuple(kernels), settings, state)

    def sample(self, n_rows: int) -> Problem:
        """The same on about n_rows rows, of every class its share.

        The first and the last class are there; of the others, those that are smaller than a share of one row may not be.
        """
        order = self.data.classes.order
        taken = order[np.unique(np.linspace(0, len(order) - 1, n_rows).astype(np.int64))]
        present, of_row = np.unique(self.data.classes.of_row[taken], return_inverse=True)
        classes = Classes(of_row.astype(np.int32), self.data.classes.labels[present])
        rows = np.ascontiguousarray(self.data.rows[taken])
        return replace(self, data=LabelledData(rows, classes), state=None)

    def survey(self, n_threads: int | None) -> Survey:
        """What every bundle needs to know about all rows, and what identifies the problem."""
        settings = replace(self.settings, n_threads=n_threads)
        return streaming.survey(self.data, self.kernels, settings)
