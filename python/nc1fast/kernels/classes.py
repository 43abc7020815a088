"""The kernels, as frozen descriptions of the function k(x, z) of two rows.

A kernel holds no data. `kernel(X)` and `kernel.diag(X)` give Gram matrices; `nc1fast.collapse`
streams them. Depth L >= 2 counts weight layers: depth=2 is one hidden layer. Sigma, Q and Theta are
defined under `ConjugateKernel` and `NTK`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

from nc1fast.activations import Activation, as_activation, name_and_parameter, named
from nc1fast.core.backend import diagonal, gram
from nc1fast.core.chains import COVARIANCE, TANGENT, Chain
from nc1fast.core.expressions import Expression
from nc1fast.core.products import ProductSettings, matvec
from nc1fast.core.series import table_of
from nc1fast.datasets.paths import reads_files
from nc1fast.kernels.one_layer import InputLayer, OneLayer
from nc1fast.kernels.printing import without_defaults
from nc1fast.kernels.registry import KERNELS, enter, hint
from nc1fast.kernels.variances import PerLayer, he_variance, per_layer, spread_over, variance
from nc1fast.support.arguments import as_count, check_choice, shown
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.support.progress import Progress


_DEEPEST = 1 << 16  # weight layers of a description; a pass has room for fewer, and says so


class Kernel:
    """Base of the kernels: Gram matrices by the compiled core, and what a chain says of a kernel.

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
        """The kernel written out; None if it has not one hidden layer."""
        if self.depth != 2:
            return None
        chain = self.chain(n_features)
        ((_, tangent, scale, constant),) = chain.outputs
        last = chain.coefficients[0] if tangent else (scale, constant, 0.0)
        return OneLayer.after(self.input_layer(n_features), *last)

    __repr__ = without_defaults

    def to_plain(self) -> dict[str, Any]:
        """Values that a kernel of its class is made of, by name, with what is derived but costly or
        not reproducible.
        """
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}  # type: ignore[arg-type]

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> Self:
        """The kernel that `to_plain` took apart."""
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
    """Raise TypeError for what is no kernel object, such as another argument in its place."""
    if not isinstance(kernel, Kernel):
        moved = any(isinstance(other, Kernel) for other in others)
        told = ": the kernel is in the place of another argument" if moved else hint(kernel)
        raise TypeError(f"kernel must be a kernel object, got {shown(kernel)}{told}")
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


@dataclass(frozen=True, repr=False)
class Linear(Kernel):
    """The data itself: bias_variance + weight_variance <x, z>/d0.

    Parameters
    ----------
    weight_variance, bias_variance : float, default 1.0 and 0.0
    """

    weight_variance: float = 1.0
    bias_variance: float = 0.0
    depth = 1
    option = "linear"
    is_linear = True

    def __post_init__(self) -> None:
        for name in ("weight_variance", "bias_variance"):
            object.__setattr__(self, name, variance(name, getattr(self, name)))

    @property
    def weight_variances(self) -> tuple[float, ...]:
        """One per layer, from input to output."""
        return (self.weight_variance,)

    @property
    def bias_variances(self) -> tuple[float, ...]:
        """One per layer, from input to output."""
        return (self.bias_variance,)

    def chain(self, n_features: int) -> Chain:
        """The input layer alone: Theta^0, whatever the activation."""
        outputs = [(0, TANGENT, 1.0, 0.0)]
        return Chain(
            "relu", 0.0, self.weight_variances, self.bias_variances, TANGENT, outputs=outputs
        )


@dataclass(frozen=True, repr=False)
class DeepKernel(Kernel):
    """Base of the kernels of fully connected networks: an activation, and variances for each weight
    layer.
    """

    activation: Activation
    depth: int = 2
    weight_variance: PerLayer | Literal["he"] = 1.0  # a name is replaced by its number
    bias_variance: PerLayer = 0.0
    expression = lru_cache(maxsize=256)(Kernel.expression)  # that of equal kernels is made once

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", as_activation(self.activation))
        object.__setattr__(
            self, "depth", as_count("depth, of weight layers,", self.depth, 2, _DEEPEST)
        )
        if isinstance(self.weight_variance, str):
            check_choice("weight_variance, where it is a name,", self.weight_variance, ("he",))
            object.__setattr__(self, "weight_variance", he_variance(self.activation))
        for name in ("weight_variance", "bias_variance"):
            object.__setattr__(self, name, per_layer(name, getattr(self, name), self.depth))

    @property
    def weight_variances(self) -> tuple[float, ...]:
        """One per layer, from input to output (length `depth`)."""
        return spread_over(cast("PerLayer", self.weight_variance), self.depth)

    @property
    def bias_variances(self) -> tuple[float, ...]:
        """One per layer, from input to output (length `depth`)."""
        return spread_over(self.bias_variance, self.depth)

    @property
    def readout(self) -> tuple[float, float]:
        """(scale, constant) of the last layer: its kernel is scale Q + constant, beside what is
        added for Theta.
        """
        return self.weight_variances[-1], self.bias_variances[-1]

    def chain(self, n_features: int) -> Chain:
        """The recursion of Sigma, of which the readout is taken."""
        name, parameter = name_and_parameter(self.activation)
        w, b = self.weight_variances[:-1], self.bias_variances[:-1]
        outputs, table = [(self.depth - 1, COVARIANCE, *self.readout)], table_of(self.activation)
        return Chain(name, parameter, w, b, COVARIANCE, outputs=outputs, table=table)

    def _prefix(self, depth: int) -> dict[str, Any]:
        """The fields of the same kernel cut to `depth` layers."""
        given = {name: getattr(self, name) for name in ("weight_variance", "bias_variance")}
        cut = {name: v[:depth] if isinstance(v, tuple) else v for name, v in given.items()}
        return {"depth": depth, **cut}

    def layers(self) -> list[Kernel]:
        """The kernels of depths 2..L; a pass over the list shares everything."""
        return [replace(self, **self._prefix(depth)) for depth in range(2, self.depth + 1)]


@dataclass(frozen=True, repr=False)
class ConjugateKernel(DeepKernel):
    """Q^{L-2}: covariance of the last hidden layer's activations at infinite width.

    Parameters
    ----------
    activation : str, LeakyReLU, ShiftedReLU or Activation
    depth : int, default 2
        Weight layers L >= 2; one hidden layer is depth 2.
    weight_variance, bias_variance : float or sequence of length depth, default 1.0 and 0.0
        From input to output; the last layer's are ignored. weight_variance="he": `he_variance`, for
        the ReLU family.

    Notes
    -----
    Sigma^0 = sb2_0 + sw2_0 <x,x'>/d0;  Q^l = E[phi(u) phi(v)], (u, v) ~ N(0, Sigma^l);  Sigma^l =
    sb2_l + sw2_l Q^{l-1}.
    Source: Neal (1996); Lee et al. (2018); Cho & Saul (2009); Williams (1997).
    """

    option = "conjugate"

    @property
    def readout(self) -> tuple[float, float]:
        """(1, 0): the kernel is Q itself."""
        return 1.0, 0.0


@dataclass(frozen=True, repr=False)
class NNGP(DeepKernel):
    """Sigma^{L-1} = sb2 + sw2 Q^{L-2}: covariance of the outputs at infinite width. Same NC1 as
    `ConjugateKernel`.

    Parameters
    ----------
    activation : str, LeakyReLU, ShiftedReLU or Activation
    depth : int, default 2
    weight_variance, bias_variance : float or sequence of length depth, default 1.0 and 0.0
        weight_variance="he" as of `ConjugateKernel`.

    Notes
    -----
    Source: Lee et al. (2018), eq. 5. The recursion is written out under `ConjugateKernel`.
    """

    option = "nngp"
