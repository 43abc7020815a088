"""How the kernel of one hidden layer depends on the norms of its rows, for each activation with an
adaptive kernel.

With K = W W^T, Q = sa2 kappa(K) and A held fixed, the derivative of Tr(A Q) by K_ii through the
norm of row i alone is

    r_i = sum_j A_ij sa2 dkappa_ij/dK_ii,   dkappa/dK_ii = -K_ij kdot/(1 + 2 K_ii)        erf,
                                                           (kappa - K_ij kdot)/(2 K_ii)   ReLU,
                                                               homogeneous of degree 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def _erf(norms: Array, own: Array, _: Array | None) -> Array:
    """The slopes r of erf, which need no traces."""
    return -own / (1 + 2 * norms)


def _relu(norms: Array, own: Array, traces: Array | None) -> Array:
    """The slopes r of ReLU; 0 for rows of norm 0."""
    assert traces is not None
    return np.divide(traces - own, 2 * norms, out=np.zeros_like(norms), where=norms > 0)


# r (N,) from K_ii, own_i = sum_j A_ij sa2 kdot_ij K_ij and traces_i = (A Q)_ii, each of shape (N,).
ROW_SLOPES: dict[str, Callable[[Array, Array, Array | None], Array]] = {
    "erf": _erf,
    "relu": _relu,
}
