"""The base of the kernels: frozen descriptions of the function k(x, z) of two rows.

A kernel holds no data. `kernel(X)` and `kernel.diag(X)` give Gram matrices; `nc1fast.collapse`
streams them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np

from nc1fast.core.activations import Activation, named
from nc1fast.core.backend import diagonal, gram
from nc1fast.core.expressions import Expression
from nc1fast.core.linear import matmul
from nc1fast.core.products import ProductSettings, matvec
from nc1fast.datasets.paths import reads_files
from nc1fast.kernels.registry import KERNELS, enter, hint
from nc1fast.support.arguments import shown
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.core.chains import Chain
    from nc1fast.support.progress import Progress

    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class InputLayer:
    """Sigma = weight <x, z> + bias and Theta = theta_weight <x, z> + theta_bias, over the rows of
    `rows`.

    Attributes
    ----------
    activation : str, LeakyReLU, ShiftedReLU or Activation
    weight, bias : float
    theta_weight, theta_bias : float
        0 for a covariance kernel.
    factor : ndarray of shape (n_features, r) or None
        Of an adaptive kernel: the rows are those of X times this.
    """

    activation: Activation
    weight: float
    bias: float
    theta_weight: float = 0.0
    theta_bias: float = 0.0
    factor: Array | None = None

    def rows(self, X: NDArray[Any]) -> Array:
        """The rows that the inner products are of, in float64."""
        X = X.astype(np.float64, copy=False)
        return X if self.factor is None else matmul(X, self.factor)


@dataclass(frozen=True, eq=False)
class OneLayer(InputLayer):
    """k(x, z) = value kappa(Sigma) + constant + tangent Theta(x, z) kdot(Sigma)."""

    value: float = 1.0
    constant: float = 0.0
    tangent: float = 0.0

    @classmethod
    def after(cls, first: InputLayer, value: float, constant: float, tangent: float) -> OneLayer:
        """The kernel whose input layer is `first`."""
        head = (first.activation, first.weight, first.bias, first.theta_weight, first.theta_bias)
        return cls(*head, first.factor, value, constant, tangent)


class Kernel:
    """Base of the kernels: Gram matrices by the compiled core, from the chain of a kernel.

    A new kernel is a frozen dataclass with `depth` and `chain`; it then has Gram matrices, passes,
    tables and files. a * k, k1 + k2, k1 * k2 and k ** p are kernels (`nc1fast.kernels.algebra`).

    Attributes
    ----------
    depth : int
        Weight layers.
    option : str
        Its name on the command line; empty where it has none.
    is_linear : bool
        Whether it is an affine function of <x, z>.
    is_tangent : bool
        Whether it is Theta, not a covariance.
    of_sequences : bool
        Whether it takes sequences (`nc1fast.kernels.recurrent`), not rows.
    """

    depth: int
    option: ClassVar[str] = ""
    is_linear: ClassVar[bool] = False
    is_tangent: ClassVar[bool] = False
    of_sequences: ClassVar[bool] = False
    __array_ufunc__ = None  # so that a number of NumPy leaves a product to the kernel

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        enter(cls)

    @property
    def name(self) -> str:
        """The name of its class: "NNGP", "NTK", ..."""
        return type(self).__name__

    def chain(self, n_features: int) -> Chain:
        """The recursion that the core computes, for rows of `n_features`.

        Raises
        ------
        ValueError
            Where the kernel does not fit rows of so many features.
        """
        raise NotImplementedError(f"{self.name} has no chain")

    def expression(self, n_features: int) -> Expression:
        """The leaves and terms that the core computes, for rows of `n_features`: the kernel of its
        chain.
        """
        return Expression.of_chain(self.chain(n_features))

    def __add__(self, other: Any) -> Kernel:
        return _made("Sum", (self, other)) if isinstance(other, Kernel) else NotImplemented

    def __radd__(self, other: Any) -> Kernel:
        return (
            self if isinstance(other, int) and other == 0 else NotImplemented
        )  # sum() begins with 0

    def __mul__(self, other: Any) -> Kernel:
        if isinstance(other, Kernel):
            return _made("Product", (self, other))
        return _made("Scaled", self, other) if isinstance(other, Real) else NotImplemented

    __rmul__ = __mul__

    def __pow__(self, exponent: Any) -> Kernel:
        if not isinstance(exponent, Real):
            return NotImplemented
        return self if exponent == 1 else _made("Power", self, exponent)

    def input_layer(self, n_features: int) -> InputLayer:
        """Sigma^0 and Theta^0 of rows of `n_features`."""
        chain = self.chain(n_features)
        weight, bias = chain.weights[0] / n_features, chain.biases[0]
        scale = chain.theta_scale if self.is_tangent else 0.0
        offset = chain.theta_offset if self.is_tangent else 0.0
        activation = getattr(self, "activation", None)
        return InputLayer(
            named(chain.activation, chain.parameter) if activation is None else activation,
            weight,
            bias,
            scale * weight,
            scale * bias + offset,
            chain.factor,
        )

    def one_layer(self, n_features: int) -> OneLayer | None:
        """The kernel in closed form; None unless it has one hidden layer."""
        if self.depth != 2:
            return None
        chain = self.chain(n_features)
        ((_, tangent, scale, constant),) = chain.outputs
        last = chain.coefficients[0] if tangent else (scale, constant, 0.0)
        return OneLayer.after(self.input_layer(n_features), *last)

    def __repr__(self) -> str:
        """The call that makes it, without defaults; the activation first and without its name."""
        given = []
        for one in fields(self):  # type: ignore[arg-type]
            value = getattr(self, one.name)
            if one.name == "activation":
                given.append(repr(value))
            elif value != one.default:
                given.append(f"{one.name}={value!r}")
        return f"{self.name}({', '.join(given)})"

    def to_plain(self) -> dict[str, Any]:
        """Its arguments by name, with derived values that are costly or not reproducible."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}  # type: ignore[arg-type]

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> Self:
        """The kernel of the values of `to_plain`."""
        return cls(**values)

    @ieee
    @reads_files("X", "Z", in_memory=True)
    def __call__(
        self,
        X: ArrayLike,
        Z: ArrayLike | None = None,
        *,
        dtype: str = "float64",
        n_threads: int | None = None,
        device: str | None = None,
    ) -> NDArray[Any]:
        """Gram matrix k(x_i, z_j).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or path
        Z : array-like of shape (m_samples, n_features), or path, optional
            Default: X itself; the result is then exactly symmetric with an exact diagonal.
        dtype : {"float64", "float32"}, default "float64"
            Precision of the arithmetic and of the result.
        n_threads : int, optional
            Default: as `collapse`.
        device : str, optional
            "cpu", "cuda", "cuda:INDEX" or "cuda:all" (`nc1fast.cuda`). Default: where X lies.

        Returns
        -------
        array of shape (n_samples, m_samples)
            Of torch or CuPy and on the device of X, if X is and that is the device; else of NumPy.

        Raises
        ------
        TypeError, ValueError
            As `collapse` does for its data.
        DeviceError, MemoryError
            For a device that does not exist, or has too little memory.

        Notes
        -----
        Cost: 2 N M d0 flops for the products and some 30 per pair and layer; memory N M plus packed
        copies. Rows are packed by the processor, and those of float32 or float64 that lie on the
        device by it: of these a few numbers of each row cross.
        Accuracy: (2 d0 + 50 depth) u of sqrt(k_ii k_jj), times how much faster than the rows the
        kernel moves (docs/accuracy.md): 1 for the ReLU family, sqrt(|x|^2/d0) and more for long
        rows of other activations, above 1 for each layer of a chaotic network; nearly equal and
        opposite rows keep their angle.
        """
        return gram(self, X, Z, dtype=dtype, n_threads=n_threads, device=device)

    @ieee
    @reads_files("X", "Z")
    def matvec(
        self,
        X: ArrayLike,
        V: ArrayLike,
        Z: ArrayLike | None = None,
        *,
        dtype: str = "float64",
        n_threads: int | None = None,
        memory_limit: float | None = None,
        progress: Progress = False,
    ) -> NDArray[np.float64]:
        """K(Z, X) V, or K(X, X) V, without the Gram matrix.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or path
        V : array-like of shape (n_samples,) or (n_samples, k)
        Z : array-like of shape (m_samples, n_features), or path, optional
            Default: X itself; each kernel value then serves two rows.
        dtype : {"float64", "float32"}, default "float64"
            Precision of kernel values and of sums over a few dozen of them; longer sums are
            float64.
        n_threads : int, optional
            Default: as `collapse`.
        memory_limit : float, optional
            Bytes that the product may take beyond X and V: rows are then read and packed in groups.
        progress : bool or callable(done, total), default False

        Returns
        -------
        ndarray of shape (m_samples,) or (m_samples, k)
            The same bits for any number of threads and any memory limit.

        Raises
        ------
        TypeError, ValueError, OSError
            As `collapse` does for its data; for V that is not finite or has another number of rows.

        Notes
        -----
        Cost: N M d0 + 2 N M k flops, half of the first where Z is X, and some 30 per pair and
        layer; memory 32 (N + M) k bytes, of at most 256 columns at a time, plus packed rows.
        Accuracy: that of the entries of `kernel(X, Z)`, and 2^-53 of sqrt(k_ii) sum_j sqrt(k_jj)
        |v_j|.
        """
        settings = ProductSettings(dtype, n_threads, memory_limit)
        return matvec(self, X, V, Z, settings, progress)

    @ieee
    @reads_files("X", in_memory=True)
    def diag(self, X: ArrayLike) -> NDArray[np.float64]:
        """k(x_i, x_i), shape (n_samples,), float64, from the norms alone: O(N d0)."""
        return diagonal(self, X)


def check_kernel(kernel: Any, *others: Any) -> Kernel:
    """Raise TypeError for anything but a kernel object."""
    if not isinstance(kernel, Kernel):
        moved = any(isinstance(other, Kernel) for other in others)
        advice = ": the kernel is in the place of another argument" if moved else hint(kernel)
        raise TypeError(f"kernel must be a kernel object, got {shown(kernel)}{advice}")
    return kernel


def _made(name: str, *values: Any) -> Kernel:
    """A kernel made of others, by the name of its class in `nc1fast.kernels.algebra`."""
    kernels = [value for one in values for value in (one if isinstance(one, tuple) else (one,))]
    if any(getattr(one, "of_sequences", False) for one in kernels):
        raise TypeError(
            "kernels of sequences have no sums, products and multiples: add their Gram matrices, "
            "or blend results with nc1fast.blend"
        )
    return cast("Kernel", KERNELS[name](*values))
