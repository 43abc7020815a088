"""Factors of Qt = sa2 kappa(W W^T) + s2 I: all that one evaluation of the equations asks of an N x
N matrix.

    W  ->  Cholesky factor of Qt  ->  T = Qt^-1 Y, log det Qt  ->  (A o sa2 kdot) W, A = scale Qt^-1
    - factor factor^T

on the processor by LAPACK, or on a CUDA device by CuPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.core.backend import adaptive_gram, adaptive_gram_on_device, adaptive_product
from nc1fast.inputs.devices import empty_like
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nc1fast.adaptive.settings import SolverSettings

    Array = NDArray[np.float64]


class Factored(NamedTuple):
    """Qt at one W.

    Attributes
    ----------
    T : ndarray of shape (N, P)
        Qt^-1 Y.
    log_det : float
        log det Qt.
    product : callable(scale, factor)
        Gives (A o sa2 kdot) W, shape (N, r), and the diagonal of Qt^-1, shape (N,). It works in
        place and may be called once.
    """

    T: Array
    log_det: float
    product: Callable[[float, Array], tuple[Array, Array]]


def factoring(Y: Array, settings: SolverSettings) -> Callable[[Array], Factored | None]:
    """How Qt of rows W (N, r) is factored on the device of the settings; None where it is not
    positive definite in float64.

    Raises
    ------
    ImportError
        Without scipy, or on a device without CuPy.
    """
    index = settings.device_index
    return OnProcessor(Y, settings) if index is None else OnDevice(Y, settings, index)


class OnProcessor:
    """Factors by LAPACK: one N x N matrix, factored and inverted in place, N^3 flops."""

    def __init__(self, Y: Array, settings: SolverSettings) -> None:
        self._Y, self._settings = Y, settings
        self._lapack: Any = require("scipy.linalg.lapack", "adaptive")

    def __call__(self, W: Array) -> Factored | None:
        """Qt of the rows W, as `factoring` says."""
        s = self._settings
        Qt = adaptive_gram(W, s.activation, s.readout_variance, s.n_threads)
        Qt[np.diag_indices_from(Qt)] += s.noise
        L, failed = self._lapack.dpotrf(Qt.T, lower=1, clean=0, overwrite_a=1)
        if failed:
            return None
        T, _ = self._lapack.dpotrs(L, self._Y, lower=1)

        def product(scale: float, factor: Array) -> tuple[Array, Array]:
            inverse, _ = self._lapack.dpotri(L, lower=1, overwrite_c=1)
            pair, C = (scale, inverse.T), np.ascontiguousarray(factor)
            out = adaptive_product(W, s.activation, s.readout_variance, pair, C, s.n_threads)
            return out, inverse.diagonal()

        return Factored(T, 2 * float(np.log(L.diagonal()).sum()), product)


class OnDevice:
    """Factors by CuPy: three N x N matrices in the memory of the device, 2 N^3 flops."""

    def __init__(self, Y: Array, settings: SolverSettings, index: int) -> None:
        self._settings, self._index = settings, index
        self._cupy: Any = require("cupy", "cuda")
        self._device = self._cupy.cuda.Device(index)
        with self._device:
            self._Y = self._cupy.asarray(Y)

    def __call__(self, W: Array) -> Factored | None:
        """Qt of the rows W, as `factoring` says."""
        cupy = self._cupy
        with self._device:
            Qt = self._gram(W, derivative=False)
            Qt.ravel()[:: len(W) + 1] += self._settings.noise
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

        def product(scale: float, factor: Array) -> tuple[Array, Array]:
            A = inverse
            with self._device:
                diagonal = cupy.asnumpy(A.diagonal())
                C = cupy.asarray(factor)
                A *= scale
                A -= C @ C.T
                A *= self._gram(W, derivative=True)
                return cupy.asnumpy(A @ cupy.asarray(W)), diagonal

        return Factored(cupy.asnumpy(T), log_det, product)

    def _gram(self, W: Array, *, derivative: bool) -> Any:
        """sa2 kappa, or sa2 kdot, of all pairs of the rows W: (N, N) on the device."""
        s = self._settings
        out, address = empty_like(self._Y, (len(W), len(W)), "float64")
        to = (address, self._index)
        adaptive_gram_on_device(
            W, s.activation, s.readout_variance, s.n_threads, derivative=derivative, to=to
        )
        return out
