"""Qt = sa2 kappa(W W^T) + s2 I, factored: what one evaluation of the equations asks of an N x N matrix.

    W  ->  Cholesky factor of Qt  ->  T = Qt^-1 Y, log det Qt  ->  (A o sa2 kdot) W, A = scale Qt^-1 - factor factor^T

on the processor by LAPACK, or on a CUDA device by CuPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nc1fast import cuda
from nc1fast.core.backend import adaptive_gram, adaptive_gram_on_device, adaptive_product
from nc1fast.inputs.devices import empty_like
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Factored(Protocol):
    """Qt at one W. `product` may be called once: it works in place.

    Attributes
    ----------
    T : ndarray of shape (N, P)
        Qt^-1 Y.
    log_det : float
    """

    T: Array
    log_det: float

    def product(self, scale: float, factor: Array) -> tuple[Array, Array]:
        """(A o sa2 kdot) W, shape (N, r), and the diagonal of Qt^-1."""
        ...


class Factoring(Protocol):
    """How Qt is factored."""

    def __call__(self, W: Array) -> Factored | None:
        """Qt of rows W (N, r); None where it is not positive definite in float64."""
        ...


@dataclass(frozen=True, eq=False)
class Hidden:
    """What is the same at every W.

    Attributes
    ----------
    Y : ndarray of shape (N, P)
    noise, readout_variance : float
        s2 and sa2.
    activation : {"erf", "relu"}
    n_threads : int or None
    """

    Y: Array
    noise: float
    readout_variance: float
    activation: str
    n_threads: int | None


def factoring(hidden: Hidden, device: str) -> Factoring:
    """The way of a device; errors as of `nc1fast.cuda.one_index`, and ImportError without scipy or CuPy."""
    return OnProcessor(hidden) if device == "cpu" else OnDevice(hidden, cuda.one_index(device))


class OnProcessor:
    """By LAPACK: one N x N matrix, factored and inverted in place, N^3 flops."""

    def __init__(self, hidden: Hidden) -> None:
        self._hidden = hidden
        self._lapack: Any = require("scipy.linalg.lapack", "adaptive")

    def __call__(self, W: Array) -> Factored | None:
        """As of Factoring."""
        h = self._hidden
        Qt = adaptive_gram(W, h.activation, h.readout_variance, h.n_threads)
        Qt[np.diag_indices_from(Qt)] += h.noise
        factor, failed = self._lapack.dpotrf(Qt.T, lower=1, clean=0, overwrite_a=1)
        if failed:
            return None
        T, _ = self._lapack.dpotrs(factor, h.Y, lower=1)
        log_det = 2 * float(np.log(factor.diagonal()).sum())
        return _ByLapack(h, W, T, log_det, factor, self._lapack)


@dataclass(eq=False)
class _ByLapack:
    hidden: Hidden
    W: Array
    T: Array
    log_det: float
    _factor: Array
    _lapack: Any

    def product(self, scale: float, factor: Array) -> tuple[Array, Array]:
        """As of Factored."""
        h = self.hidden
        inverse, _ = self._lapack.dpotri(self._factor, lower=1, overwrite_c=1)
        pair = (scale, inverse.T)
        C = np.ascontiguousarray(factor)
        out = adaptive_product(self.W, h.activation, h.readout_variance, pair, C, h.n_threads)
        return out, inverse.diagonal()


class OnDevice:
    """By CuPy: three N x N matrices in the memory of the device, 2 N^3 flops."""

    def __init__(self, hidden: Hidden, index: int) -> None:
        self._hidden, self._index = hidden, index
        self.cupy: Any = require("cupy", "cuda")
        self.device = self.cupy.cuda.Device(index)
        with self.device:
            self._Y = self.cupy.asarray(hidden.Y)

    def __call__(self, W: Array) -> Factored | None:
        """As of Factoring."""
        cupy, h = self.cupy, self._hidden
        with self.device:
            Qt = self.gram(W, derivative=False)
            Qt.ravel()[:: len(W) + 1] += h.noise
            try:
                with require("cupyx", "cuda").errstate(linalg="raise"):
                    L = cupy.linalg.cholesky(Qt)
            except np.linalg.LinAlgError:
                return None
            log_det = 2 * float(cupy.log(L.diagonal()).sum())
            del Qt
            solve = require("cupyx.scipy.linalg", "cuda").solve_triangular
            half = solve(L, cupy.eye(len(W)), lower=True, overwrite_b=True)  # L^-1
            del L
            T = half.T @ (half @ self._Y)
            inverse = half.T @ half
        return _ByCuPy(self, W, cupy.asnumpy(T), log_det, inverse)

    def gram(self, W: Array, *, derivative: bool) -> Any:
        """Sa2 kappa, or sa2 kdot, of the products of rows W: (N, N) on the device."""
        h = self._hidden
        out, address = empty_like(self._Y, (len(W), len(W)), "float64")
        adaptive_gram_on_device(
            *(W, h.activation, h.readout_variance, h.n_threads),
            derivative=derivative,
            to=(address, self._index),
        )
        return out


@dataclass(eq=False)
class _ByCuPy:
    _by: OnDevice
    W: Array
    T: Array
    log_det: float
    _inverse: Any

    def product(self, scale: float, factor: Array) -> tuple[Array, Array]:
        """As of Factored."""
        cupy, A = self._by.cupy, self._inverse
        with self._by.device:
            diagonal = cupy.asnumpy(A.diagonal())
            C = cupy.asarray(factor)
            A *= scale
            A -= C @ C.T
            A *= self._by.gram(self.W, derivative=True)
            return cupy.asnumpy(A @ cupy.asarray(self.W)), diagonal
