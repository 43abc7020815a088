"""The kernels: what is computed for a pair of rows, as frozen descriptions.

A kernel holds no data. `kernel(X)` and `kernel.diag(X)` give Gram matrices; `nc1fast.collapse` streams them.
Depth L >= 2 counts weight layers: depth=2 is one hidden layer. Sigma, Q and Theta are defined under `ConjugateKernel` and `NTK`.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nc1fast.activations import NO_FINITE_NTK, Activation, LeakyReLU, as_activation
from nc1fast.core.linear import cholesky
from nc1fast.inputs.arrays import host_array
from nc1fast.support.arguments import as_count, as_number, as_optional_flag, check_choice
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

PerLayer: TypeAlias = float | tuple[float, ...]

_LEAST_VARIANCE = 2.0**-1022  # the smallest normal number
_DEEPEST = 1 << 16  # weight layers of a description; a pass has room for fewer, and says so


def _variance(name: str, value: Any) -> float:
    """A number >= 0; what a product with a subnormal number loses would go unnoticed."""
    variance = as_number(name, value, least=0)
    if 0 < variance < _LEAST_VARIANCE:
        raise ValueError(f"{name} must be 0 or at least {_LEAST_VARIANCE:.1e}, got {variance!r}")
    return variance


def _width(name: str, value: Any) -> float:
    return as_number(name, value, least=1)


def _per_layer(name: str, value: Any, length: int, check: Any = _variance) -> PerLayer:
    """A number, or a tuple of `length` of them; `check(name, value)` gives each."""
    if isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1:
        if len(value) != length:
            raise ValueError(
                f"{name} must be one number or {length} (one per layer), got {len(value)}"
            )
        return tuple(check(name, v) for v in value)
    return check(name, value)  # type: ignore[no-any-return]


def _spread(value: PerLayer, length: int) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,) * length


class Kernel:
    """Base of the kernels: Gram matrices by the compiled core."""

    @ieee
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
        X : array-like of shape (n_samples, n_features)
        Z : array-like of shape (m_samples, n_features), optional
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
            For a device that is not there, or has not the memory.

        Notes
        -----
        Cost: 2 N M d0 flops for the products and some 30 per pair and layer; memory N M plus packed copies. Rows are packed by the
        processor, also those that lie on a device: one copy of X each way, against N M values.
        Accuracy: (2 d0 + 50 depth) u of sqrt(k_ii k_jj), times how much faster than the rows the kernel moves (docs/accuracy.md):
        1 for the ReLU family, sqrt(|x|^2/d0) and more for long rows of other activations, above 1 for each layer of a chaotic
        network; nearly equal and opposite rows keep their angle.
        """
        from nc1fast.core.backend import gram

        return gram(self, X, Z, dtype=dtype, n_threads=n_threads, device=device)

    @ieee
    def diag(self, X: ArrayLike) -> NDArray[np.float64]:
        """k(x_i, x_i), shape (n_samples,), float64, from the norms alone: O(N d0)."""
        from nc1fast.core.backend import diagonal

        return diagonal(self, X)


@dataclass(frozen=True)
class Linear(Kernel):
    """The data itself: bias_variance + weight_variance <x, z>/d0.

    Parameters
    ----------
    weight_variance, bias_variance : float, default 1.0 and 0.0
    """

    weight_variance: float = 1.0
    bias_variance: float = 0.0
    depth = 1

    def __post_init__(self) -> None:
        for name in ("weight_variance", "bias_variance"):
            object.__setattr__(self, name, _variance(name, getattr(self, name)))

    @property
    def weight_variances(self) -> tuple[float, ...]:
        """One per layer, from input to output."""
        return (self.weight_variance,)

    @property
    def bias_variances(self) -> tuple[float, ...]:
        """One per layer, from input to output."""
        return (self.bias_variance,)


@dataclass(frozen=True)
class _DeepKernel(Kernel):
    activation: Activation
    depth: int = 2
    weight_variance: PerLayer = 1.0
    bias_variance: PerLayer = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", as_activation(self.activation))
        object.__setattr__(
            self, "depth", as_count("depth, of weight layers,", self.depth, 2, _DEEPEST)
        )
        for name in ("weight_variance", "bias_variance"):
            object.__setattr__(self, name, _per_layer(name, getattr(self, name), self.depth))

    @property
    def weight_variances(self) -> tuple[float, ...]:
        """One per layer, from input to output (length `depth`)."""
        return _spread(self.weight_variance, self.depth)

    @property
    def bias_variances(self) -> tuple[float, ...]:
        """One per layer, from input to output (length `depth`)."""
        return _spread(self.bias_variance, self.depth)

    def _prefix(self, depth: int) -> dict[str, Any]:
        """The fields of the same kernel cut to `depth` layers."""
        cut: dict[str, Any] = {"depth": depth}
        for name in ("weight_variance", "bias_variance"):
            value = getattr(self, name)
            cut[name] = value[:depth] if isinstance(value, tuple) else value
        return cut

    def layers(self) -> list[Kernel]:
        """The kernels of depths 2..L; a pass over the list shares everything."""
        return [replace(self, **self._prefix(depth)) for depth in range(2, self.depth + 1)]


@dataclass(frozen=True)
class ConjugateKernel(_DeepKernel):
    """Q^{L-2}: covariance of the last hidden layer's activations at infinite width.

    Parameters
    ----------
    activation : str or LeakyReLU
    depth : int, default 2
        Weight layers L >= 2; one hidden layer is depth 2.
    weight_variance, bias_variance : float or sequence of length depth, default 1.0 and 0.0
        From input to output; the last layer's are ignored.

    Notes
    -----
    Sigma^0 = sb2_0 + sw2_0 <x,x'>/d0;  Q^l = E[phi(u) phi(v)], (u, v) ~ N(0, Sigma^l);  Sigma^l = sb2_l + sw2_l Q^{l-1}.
    Source: Neal (1996); Lee et al. (2018); Cho & Saul (2009); Williams (1997).
    """


@dataclass(frozen=True)
class NNGP(_DeepKernel):
    """Sigma^{L-1} = sb2 + sw2 Q^{L-2}: covariance of the outputs at infinite width. Same NC1 as `ConjugateKernel`.

    Parameters
    ----------
    activation : str or LeakyReLU
    depth : int, default 2
    weight_variance, bias_variance : float or sequence of length depth, default 1.0 and 0.0

    Notes
    -----
    Source: Lee et al. (2018), eq. 5. The recursion is written out under `ConjugateKernel`.
    """


@dataclass(frozen=True)
class NTK(_DeepKernel):
    """Theta^{L-1}, the neural tangent kernel.

    Parameters
    ----------
    activation : str or LeakyReLU
    depth : int, default 2
    weight_variance, bias_variance : float or sequence of length depth, default 1.0 and 0.0
    parametrization : {"ntk", "standard"}, default "ntk"
        "standard" is what gradient descent on an ordinary layer trains; it needs `width`.
    width : int or sequence of length depth - 1, optional
        Hidden widths, for "standard" only.
    train_bias : bool, optional
        Default: bias_variance > 0 for "ntk", True for "standard". For "ntk" a bias of variance sb2 adds sb2, so one
        of variance zero adds nothing, trained or not.

    Raises
    ------
    ValueError
        For "step" and "sign", whose NTK is infinite on the diagonal; for "standard" without `width`.

    Notes
    -----
    Theta^0 = Sigma^0,  Theta^l = Sigma^l + sw2_l Theta^{l-1} kdot(Sigma^{l-1})            ("ntk"; Sigma without the
    bias variance where biases do not train);  Theta^0 = <x,x'> + tau,
    Theta^l = n_l Q^{l-1} + tau + sw2_l Theta^{l-1} kdot(Sigma^{l-1}), tau = train_bias    ("standard", n_l hidden widths).
    Source: Jacot, Gabriel & Hongler (2018), theorem 1; Sohl-Dickstein et al. (2020) for the parametrizations.
    """

    parametrization: str = "ntk"
    width: PerLayer | None = None
    train_bias: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if str(self.activation) in NO_FINITE_NTK:
            raise ValueError(
                f"{self.activation!r} has no finite NTK: its derivative is not a function"
            )
        check_choice("parametrization", self.parametrization, ("ntk", "standard"))
        trained = as_optional_flag("train_bias", self.train_bias)
        object.__setattr__(self, "train_bias", trained)
        if (self.parametrization == "standard") != (self.width is not None):
            raise ValueError("width belongs to parametrization='standard', which needs it")
        if self.width is not None:
            object.__setattr__(
                self, "width", _per_layer("width", self.width, self.depth - 1, _width)
            )

    @property
    def tangent_coefficients(self) -> list[tuple[float, float, float]]:
        """Per layer l, (q, one, theta) of Theta^l = q Q^{l-1} + one + theta Theta^{l-1} kdot; layer 0: q of <x,x'>/d0."""
        sw2, sb2 = self.weight_variances, self.bias_variances
        if self.parametrization == "ntk":
            biases = [0.0 if self.train_bias is False else b for b in sb2]
            return [(w, b, w) for w, b in zip(sw2, biases, strict=True)]
        tau = 0.0 if self.train_bias is False else 1.0
        widths = _spread(self.width, self.depth - 1)  # type: ignore[arg-type]
        return [
            (math.nan, tau, math.nan),
            *((n, tau, w) for n, w in zip(widths, sw2[1:], strict=True)),
        ]

    def _prefix(self, depth: int) -> dict[str, Any]:
        cut = super()._prefix(depth)
        if isinstance(self.width, tuple):
            cut["width"] = self.width[: depth - 1]
        return cut


@dataclass(frozen=True, eq=False, repr=False)
class AdaptiveKernel(Kernel):
    """Q(x, z) = E phi(<w, x>) phi(<w, z>) over hidden weights w ~ N(0, Sigma): one hidden layer that has seen the data.

    Parameters
    ----------
    sigma : array-like of shape (n_features, n_features)
        Sigma, symmetric and positive definite. Sigma = I/d0 is `ConjugateKernel(activation)`; there is no other 1/d0.
    activation : str or LeakyReLU, default "erf"

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
    K = X Sigma X^T,  Q_ij = kappa(K_ii, K_jj, K_ij), one hidden layer. The readout variance only scales Q.
    Two of them are equal if activation and every bit of sigma are.
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
        return f"AdaptiveKernel(sigma=<{d0} x {d0}, trace {trace:.6g}, {digest}>, activation={activation!r})"


_CLASSES: dict[str, Any] = {
    cls.__name__: cls for cls in (Linear, ConjugateKernel, NNGP, NTK, AdaptiveKernel)
}


def to_json(kernel: Any) -> Any:
    """A kernel, a name or None as JSON holds it."""
    if kernel is None or isinstance(kernel, str):
        return kernel
    values = to_plain(kernel)
    if isinstance(kernel, AdaptiveKernel):
        del values["factor"]
        values["sigma"] = kernel.sigma.tolist()
    return values


def to_plain(kernel: Any) -> dict[str, Any]:
    """A kernel as plain values and arrays; with the factor of an adaptive one, whose bits depend on who computes it."""
    if type(kernel).__name__ not in _CLASSES or not isinstance(kernel, Kernel):
        raise TypeError(f"only kernel objects can be written to a file, got {kernel!r}")
    values = {f.name: getattr(kernel, f.name) for f in fields(kernel) if f.init}  # type: ignore[arg-type]
    if isinstance(values.get("activation"), LeakyReLU):
        values["activation"] = {"leaky_relu": values["activation"].slope}
    if isinstance(kernel, AdaptiveKernel):
        values["factor"] = kernel.factor
    return {"class": type(kernel).__name__, **values}


def from_json(data: Any) -> Any:
    """The kernel that `to_json` wrote."""
    if data is None or isinstance(data, str):
        return data
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    if isinstance(values.get("activation"), dict):
        values["activation"] = LeakyReLU(values["activation"]["leaky_relu"])
    return _CLASSES[values.pop("class")](**values)


def from_plain(data: dict[str, Any]) -> Any:
    """The kernel that `to_plain` took apart."""
    kernel = from_json({name: value for name, value in data.items() if name != "factor"})
    if isinstance(kernel, AdaptiveKernel):
        object.__setattr__(kernel, "factor", data["factor"])
    return kernel
