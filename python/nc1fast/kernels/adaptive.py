"""The adaptive kernel: one hidden layer whose weights have a covariance that fits the data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nc1fast.core.activations import Activation, as_activation
from nc1fast.core.chains import Chain, adaptive_chain
from nc1fast.core.linear import cholesky
from nc1fast.inputs.arrays import host_array
from nc1fast.kernels.classes import Kernel
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class AdaptiveKernel(Kernel):
    """Q(x, z) = E phi(<w, x>) phi(<w, z>) over hidden weights w ~ N(0, Sigma): one hidden layer
    that has seen the data.

    Parameters
    ----------
    sigma : array-like of shape (n_features, n_features)
        Sigma, symmetric and positive definite. Sigma = I/d0 is `ConjugateKernel(activation)`; there
        is no other 1/d0.
    activation : str, LeakyReLU, ShiftedReLU or Activation, default "erf"

    Attributes
    ----------
    factor : ndarray of shape (n_features, n_features)
        Lower triangular L, Sigma = L L^T: the kernel is that of the rows X L.

    Raises
    ------
    TypeError, ValueError
        For a sigma that is not a finite, symmetric, positive definite matrix.

    Notes
    -----
    K = X Sigma X^T,  Q_ij = kappa(K_ii, K_jj, K_ij), one hidden layer. The readout variance only
    scales Q. Two of them are equal if activation and every bit of sigma are.
    Source: Seroussi, Naveh & Ringel (2023), for the Gaussian law of the hidden weights.
    """

    sigma: NDArray[np.float64]
    activation: Activation = "erf"
    factor: NDArray[np.float64] = field(init=False)
    depth = 2

    @ieee
    def __post_init__(self) -> None:
        given = host_array(self.sigma, "sigma")
        if given.dtype.kind not in "fiub":
            raise TypeError(f"sigma must be real numbers, got dtype {given.dtype}")
        sigma = np.array(given, dtype=np.float64, order="C")
        if sigma.ndim != 2 or sigma.shape[0] != sigma.shape[1] or not sigma.size:
            raise ValueError(f"sigma must have shape (n_features, n_features), got {sigma.shape}")
        if not np.isfinite(sigma).all():
            raise ValueError("sigma must be finite, but it contains NaN or Inf")
        if np.abs(sigma - sigma.T).max() > 1e-12 * np.abs(sigma).max():
            raise ValueError("sigma must be symmetric")
        try:
            factor = cholesky((sigma + sigma.T) / 2)
        except ValueError:
            raise ValueError("sigma must be positive definite") from None
        for name, array in (("sigma", sigma), ("factor", factor)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "activation", as_activation(self.activation))

    def chain(self, n_features: int) -> Chain:
        """Q of the plain inner products of the rows X L."""
        d0 = len(self.sigma)
        if d0 != n_features:
            raise ValueError(f"sigma is {d0} x {d0}, but X has {n_features} features")
        return adaptive_chain(self.activation, d0, self.factor)

    def to_plain(self) -> dict[str, Any]:
        """The values with the factor, whose bits depend on the machine."""
        return {**super().to_plain(), "factor": self.factor}

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> Self:
        """The kernel with its saved factor."""
        kernel = cls(**{name: value for name, value in values.items() if name != "factor"})
        object.__setattr__(kernel, "factor", values["factor"])
        return kernel

    @property
    def _identity(self) -> tuple[Activation, int, str]:
        digest = hashlib.blake2b(self.sigma.tobytes(), digest_size=8).hexdigest()
        return self.activation, len(self.sigma), digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AdaptiveKernel) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        activation, d0, digest = self._identity
        trace = float(np.trace(self.sigma))
        sigma = f"<{d0} x {d0}, trace {trace:.6g}, {digest}>"
        return f"AdaptiveKernel(sigma={sigma}, activation={activation!r})"
