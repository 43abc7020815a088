"""The algorithm of the code published with arXiv 2406.02105, for ReLU kernels: dense torch in
float32.

Written from its description.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bench._problem import Answer, Floats, check_kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


def released(
    X: Floats, y: NDArray[np.int64], kernel: str, *, self_checks: bool = True
) -> tuple[Answer, int]:
    """Compute the whole Gram matrix and NC1 as that code does.

    Rows sorted by class; every scaling by row and column norms is two N x N x N products with
    diagonal matrices (two to normalise, two to scale back, and for the NTK two more to normalise
    again); angles are arccos of a clipped ratio, symmetrised; the result of each step is tested for
    symmetry. NC1 from the diagonal class blocks and the total. Weights differ from papyan's where
    classes are unbalanced.

    Parameters
    ----------
    self_checks : bool, default True
        Run its symmetry tests, as it does.

    Returns
    -------
    answer : Answer
    failed : int
        Symmetry tests that failed; in that code the first failure ends the run.
    """
    check_kernel(kernel, ("nngp-relu", "ntk-relu"))

    def check_symmetric(matrix: Any) -> None:
        if self_checks:
            try:
                torch.testing.assert_close(matrix, matrix.t())
            except AssertionError:
                failed.append(1)

    def scaled(matrix: Any, vector: Any) -> Any:  # two dense products, N^3 each
        diagonal = torch.diag(vector)
        return diagonal @ matrix @ diagonal

    def angles(covariance: Any) -> Any:
        ratio = torch.clip(scaled(covariance, torch.diag(covariance) ** -0.5), -1, 1)
        check_symmetric(ratio)
        theta = torch.arccos(ratio)
        theta = (theta + theta.t()) / 2
        check_symmetric(theta)
        return theta

    failed: list[int] = []
    order = np.argsort(y, kind="stable")
    sizes = np.unique(y, return_counts=True)[1]
    rows = torch.from_numpy(X[order].astype(np.float32))
    covariance = rows @ rows.t() / rows.shape[1]
    theta = angles(covariance)
    shape = (torch.sin(theta) + (math.pi - theta) * torch.cos(theta)) / (2 * math.pi)
    values = scaled(shape, torch.sqrt(torch.diag(covariance)))
    check_symmetric(values)
    if kernel == "ntk-relu":
        derivative = (math.pi - angles(covariance)) / (2 * math.pi)
        check_symmetric(derivative)
        values = values + covariance * derivative

    stops = np.cumsum(sizes)
    blocks = [
        float(values[stop - n : stop, stop - n : stop].sum()) / float(n) ** 2
        for n, stop in zip(sizes, stops, strict=True)
    ]
    own = sum(blocks) / len(blocks)
    n_samples = len(order)
    trace_within = float(torch.diag(values).sum()) / n_samples - own
    trace_between = own - float(values.sum()) / n_samples**2
    return Answer(trace_within / trace_between), len(failed)
