"""The erf NTK and the NC1 convention of the code released with arXiv 2406.02105.

That code is github.com/kvignesh1420/shallow_nc1; a report shows both curves side by side. The
matrix differs from the NTK in one place: where the dual of the derivative needs the outer product
of the vector 1 + 2 k_ii with itself, the released code forms the dot product, one number for the
whole data set. An entry is therefore no function of two rows, and the matrix is formed in NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nc1fast.datasets.paths import reads_files
from nc1fast.inputs.arrays import as_matrix
from nc1fast.support.arguments import as_number
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Name in `nc1fast.collapse` of the class weights of the released kernel formula.
CONVENTION = "released"


@ieee
@reads_files("X", in_memory=True)
def erf_ntk(
    X: ArrayLike, *, weight_variance: float = 1.0, bias_variance: float = 0.0
) -> NDArray[np.float64]:
    """Gram matrix that the released code calls the NTK of a one-hidden-layer erf network.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or path
        The whole data set: every entry of the result depends on all rows.
    weight_variance, bias_variance : float, default 1.0 and 0.0
        sw2 and sb2, the same for both layers, as in the released code.

    Returns
    -------
    ndarray of shape (n_samples, n_samples), float64, exactly symmetric
        Use it with `nc1fast.collapse(K, y, "precomputed", convention="released")`.

    Raises
    ------
    ValueError
        If X is not two-dimensional, is empty, holds NaN or infinity, or is so large that k_ij^2
        overflows; if a variance is negative or not finite.
    TypeError
        If X does not hold real numbers.

    Notes
    -----
    k = sb2 + sw2 X X^T / d0;  s = sum_i (1 + 2 k_ii)^2, a scalar; Theta_ij = sb2 + sw2 Q_ij + sw2
    k_ij (4/pi) / sqrt(s - 4 k_ij^2),  Q the arcsine kernel of k. The NTK, `nc1fast.NTK("erf")`, has
    (1 + 2 k_ii)(1 + 2 k_jj), about N times smaller, in place of s.
    Cost: 2 N^2 d0 flops and five N x N float64 matrices.
    Accuracy: (d0 + 20) 2^-53 relative to the largest entry; the released code computes in float32.
    Source: Williams (1997) for Q.
    """
    X = np.asarray(as_matrix(X), dtype=np.float64)
    weight_variance = as_number("weight_variance", weight_variance, least=0)
    bias_variance = as_number("bias_variance", bias_variance, least=0)
    k = X @ X.T  # (N, N)
    k *= weight_variance / X.shape[1]
    k += bias_variance
    q = np.diagonal(k)  # (N,)
    if not q.max() < 1e150:
        raise ValueError(
            f"X is too large for the released formula: the square of k_ii = {q.max():.3g} overflows"
        )
    kk = k * k

    # Q_ij = (2/pi) atan2(2 k_ij, r), r^2 = 1 + 2 q_i + 2 q_j + 4 (q_i q_j - k_ij^2)
    r2 = np.maximum(np.multiply.outer(q, q) - kk, 0.0)
    r2 *= 4.0
    r2 += np.add.outer(
        2.0 * q, 2.0 * q
    )  # one commutative addition per pair keeps the symmetry exact
    r2 += 1.0
    Q = np.arctan2(2.0 * k, np.sqrt(r2, out=r2))
    Q *= 2.0 / np.pi

    # Positive for any data: k_ij^2 <= k_ii k_jj, so 4 k_ij^2 is below the terms of i and j in the
    # sum.
    bracket = np.sum((1.0 + 2.0 * q) ** 2) - 4.0 * kk
    theta: NDArray[np.float64] = k
    theta *= 4.0 / np.pi
    theta /= np.sqrt(bracket, out=bracket)
    theta += Q
    theta *= weight_variance
    theta += bias_variance
    return theta
