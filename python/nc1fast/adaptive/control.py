"""The label-shuffled control: a gain of the adaptive kernel that comes from the labels vanishes
when they are permuted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.adaptive.solving import solve
from nc1fast.datasets.paths import reads_files
from nc1fast.inputs.arrays import as_rows
from nc1fast.inputs.labelled import Classes, LabelledData
from nc1fast.inputs.targets import encode
from nc1fast.kernels.fully_connected import ConjugateKernel
from nc1fast.metrics.result import collapse_from_sums
from nc1fast.sums.settings import Settings
from nc1fast.sums.streaming import kernel_sums
from nc1fast.support.arguments import as_seed
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import reporting, staged

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from nc1fast.adaptive.solution import AdaptiveSolution
    from nc1fast.metrics.result import Collapse


@dataclass(frozen=True, eq=False)
class ShuffledControl:
    """The adaptive kernel of true and of permuted targets, both measured with the true labels.

    Attributes
    ----------
    solution, shuffled : AdaptiveSolution
        Solutions for the targets as given, and for permuted ones.
    collapse, shuffled_collapse : Collapse
        Collapse of the two kernels.
    nngp : Collapse
        Collapse of the kernel before training, for comparison.
    """

    solution: AdaptiveSolution
    shuffled: AdaptiveSolution
    collapse: Collapse
    shuffled_collapse: Collapse
    nngp: Collapse


@ieee
@reads_files("X", labels="y", in_memory=True)
def shuffled_control(
    X: ArrayLike,
    y: ArrayLike,
    *,
    noise: float,
    targets: str | ArrayLike = "scalar",
    convention: str | None = None,
    seed: int = 0,
    **options: Any,
) -> ShuffledControl:
    """Solve for the adaptive kernel with true and with permuted labels.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or path
    y : array-like of shape (n_samples,), path, or part of the file X
    noise : float
        As in `solve`.
    targets : {"scalar", "one-hot"} or array-like of shape (n_samples,) or (n_samples, n_outputs),
    default "scalar"
        "scalar": class c of C has the target 2c - (C - 1); "one-hot": one output per class.
    convention : str, optional
        As in `nc1fast.collapse`.
    seed : int, default 0
        Seed of the permutation and of random starts.
    **options
        Options of `solve`; `progress` covers both solves.

    Returns
    -------
    ShuffledControl

    Raises
    ------
    TypeError, ValueError
        As `solve` and `nc1fast.collapse`.

    Notes
    -----
    Cost: two calls of `solve` and one pass for three kernels.
    """
    rows = as_rows(X, "X")
    classes = Classes.of(y, len(rows))
    values = encode(targets, classes.of_row, len(classes)).values
    permuted = values[np.random.default_rng(as_seed(seed)).permutation(len(values))]
    with reporting(options.pop("progress", False), "evaluations") as report:
        true, shuffled = (
            solve(rows, Y, noise=noise, seed=seed, progress=told or False, **options)
            for Y, told in zip((values, permuted), staged(report, 2), strict=True)
        )
    before = ConjugateKernel(true.activation, weight_variance=true.weight_variance)
    sums = kernel_sums(
        LabelledData(rows, classes), [true.kernel, shuffled.kernel, before], Settings()
    )
    results = [collapse_from_sums(one, convention, keep_rows=False) for one in sums]
    return ShuffledControl(true, shuffled, *results)
