"""Empirical kernels of a torch module: the neural tangent kernel, in tiles, and the Gram matrix of
the features of a layer.

Fully connected networks need no Jacobian: with a_l(x) the input of layer l and delta_l(x) = df/du_l
its backward signal,
    Theta(x, z) = sum_l <delta_l(x), delta_l(z)> (w_l^2 <a_l(x), a_l(z)> + b_l^2),
w_l and b_l the scales of the layer's weight and bias (0 where they do not train). Any other module
goes through per-sample Jacobians (torch.func), a few rows at a time.
Source: Jacot, Gabriel & Hongler (2018); the layer form is Goodfellow (2015), "Efficient per-example
gradient computations".
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nc1fast.core.linear import matmul
from nc1fast.networks.network import ShallowNetwork
from nc1fast.networks.probing.modules import as_module, evaluating, placed
from nc1fast.support.arguments import as_count, shown
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import ArrayLike, NDArray

    # Factors of n rows: terms (D, A), D of shape (n, K, m) and A of shape (n, m') or None. The
    # kernel is the sum over terms of <D, D'> <A, A'>, the second product being 1 without A.
    Factors = list[tuple[torch.Tensor, Any]]

_TILE_BYTES = 1 << 26  # of the Jacobians of one side of a tile
_CLOSED_ROWS = 1024  # of a tile without Jacobians


@ieee
def empirical_ntk(
    module: Any,
    X: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    outputs: str | int = "mean",
    batch_size: int | None = None,
) -> NDArray[np.float64]:
    """Empirical NTK: inner products of the gradients of the outputs by every parameter that
    requires a gradient.

    Parameters
    ----------
    module : torch.nn.Module
        Evaluated as module(batch), giving (n_samples,) or (n_samples, n_outputs), in evaluation
        mode; left as it was.
    X : array-like of shape (n_samples, ...)
    Z : array-like of shape (m_samples, ...), optional
        Default: X; the result is then exactly symmetric.
    outputs : {"mean", "full"} or int, default "mean"
        "mean": (1/K) sum_k <df_k(x), df_k(z)>, which tends to `ShallowNetwork.ntk` as the width
        grows; an int: that output alone; "full": all pairs of outputs.
    batch_size : int, optional
        Rows of a tile. Default: 1024 for a `ShallowNetwork` without batch normalization, else as
        many as keep their Jacobians within 64 MiB.

    Returns
    -------
    ndarray of shape (n_samples, m_samples), float64
        (n_samples, m_samples, n_outputs, n_outputs) for "full".

    Raises
    ------
    TypeError
        For anything but a torch module.
    ValueError
        For an output that does not exist, for NaN or Inf in X, and for a module without trained
        parameters or with outputs of another shape.

    Notes
    -----
    Cost: for a `ShallowNetwork` without batch normalization, 2 N M (sum of layer widths) flops and
    no Jacobian; otherwise 2 N M K flops per parameter, and the Jacobians of Z are computed once per
    tile of X.
    Accuracy: that of the module's own dtype.

    Examples
    --------
    >>> kernel = functools.partial(nc.networks.empirical_ntk, network)
    >>> nc.collapse(X, y, kernel)  # its NC1, streamed
    """
    as_module(module)
    if not any(p.requires_grad for p in module.parameters()):
        raise ValueError("module must have a parameter that requires a gradient")
    rows = placed(module, X)
    columns = None if Z is None else placed(module, Z, "Z")
    closed = isinstance(module, ShallowNetwork) and not module.batch_norm
    with evaluating(module):
        with torch.no_grad():
            sample = module(rows[:1])
        if sample.ndim not in (1, 2) or len(sample) != 1:
            raise ValueError(
                "module must return (n_samples,) or (n_samples, n_outputs), "
                f"got {tuple(sample.shape)} for one row"
            )
        n_outputs = 1 if sample.ndim == 1 else sample.shape[1]
        which = _outputs(outputs, n_outputs)
        if batch_size is None:
            trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
            row = trained * len(which) * sample.element_size()
            batch_size = _CLOSED_ROWS if closed else max(1, _TILE_BYTES // row)
        batch_size = as_count("batch_size", batch_size)
        factors: Callable[[torch.Tensor], Factors] = _jacobian_factors(module, which)
        if closed:
            factors = functools.partial(layer_factors, list(module.children()), which=which)
        tail = (len(which), len(which)) if outputs == "full" else ()
        return _tiled(factors, rows, columns, batch_size, tail)


def _outputs(outputs: str | int, n_outputs: int) -> list[int]:
    """Indices of the outputs requested."""
    if isinstance(outputs, str):
        if outputs not in ("mean", "full"):
            raise ValueError(f"outputs must be 'mean', 'full' or an integer, got {shown(outputs)}")
        return list(range(n_outputs))
    index = as_count("outputs", outputs, 0)
    if index >= n_outputs:
        raise ValueError(f"outputs must be below the {n_outputs} of the module, got {index}")
    return [index]


def layer_factors(parts: Iterable[Any], X: torch.Tensor, which: Iterable[int]) -> Factors:
    """The factors of a fully connected network, or of several at once, a term for each trained
    layer: signals (..., n, K, width) and augmented inputs (..., n, fan_in + 1).

    Parameters
    ----------
    parts : iterable of modules
        Weight layers, which have `weight_scale`, and activations, from input to output.
    X : tensor of shape (n, n_features)
    which : iterable of int
        The K outputs.
    """
    layers, inputs, signals = [], [], []
    h = X
    with torch.enable_grad():
        for part in parts:
            if not hasattr(part, "weight_scale"):
                h = part(h)
                continue
            layers.append(part)
            inputs.append(h.detach())
            h = part(h)
            if not h.requires_grad:  # every layer so far is frozen
                h.requires_grad_()
            signals.append(h)
        of_outputs = [
            torch.autograd.grad(h[..., k].sum(), signals, retain_graph=True, materialize_grads=True)
            for k in which
        ]
    factors: Factors = []
    for layer, a, deltas in zip(layers, inputs, zip(*of_outputs, strict=True), strict=True):
        augmented = []
        if layer.weight.requires_grad:
            augmented.append(a * layer.weight_scale)
        if layer.bias is not None and layer.bias.requires_grad:
            augmented.append(torch.full_like(a[..., :1], layer.bias_scale))
        if augmented:
            factors.append((torch.stack(deltas, dim=-2), torch.cat(augmented, dim=-1)))
    return factors


def _jacobian_factors(module: Any, which: list[int]) -> Callable[[torch.Tensor], Factors]:
    """The factors of any module: per-sample Jacobians, one term per parameter."""
    trained = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    fixed = {name: p.detach() for name, p in module.named_parameters() if not p.requires_grad}
    fixed |= dict(module.named_buffers())

    def outputs(parameters: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
        out = torch.func.functional_call(module, (parameters, fixed), (x[None],))
        return out.reshape(-1)[which]

    def factors(X: torch.Tensor) -> Factors:
        jacobian = torch.func.vmap(torch.func.jacrev(outputs), in_dims=(None, 0))(trained, X)
        return [(J.detach().flatten(2), None) for J in jacobian.values()]

    return factors


def _tile(left: Factors, right: Factors, *, full: bool) -> NDArray[np.float64]:
    """A tile of the kernel from the factors of its rows and of its columns; with `full`, of all
    pairs of outputs.
    """
    out: Any = None
    for (D, A), (E, B) in zip(left, right, strict=True):
        if full:
            term = torch.einsum("ikn,jln->ijkl", D, E)
        else:
            term = D.flatten(1) @ E.flatten(1).T / D.shape[1]
        if A is not None:
            inner = A @ B.T
            term = term * (inner[:, :, None, None] if full else inner)
        out = term if out is None else out + term
    return np.asarray(out.detach().cpu().numpy(), dtype=np.float64)


def _tiled(
    factors: Callable[[torch.Tensor], Factors],
    X: torch.Tensor,
    Z: torch.Tensor | None,
    size: int,
    tail: tuple[int, ...],
) -> NDArray[np.float64]:
    """The whole kernel in tiles of `size` rows; where Z is None, those above the diagonal are
    mirrored.

    Parameters
    ----------
    factors : callable(rows)
    X, Z : tensor of shape (n_samples, ...), Z or None
    size : int
    tail : tuple
        (K, K) for all pairs of K outputs, () for their mean.

    Returns
    -------
    ndarray of shape (len(X), len(Z or X), *tail)
    """
    columns = X if Z is None else Z
    K = np.empty((len(X), len(columns), *tail))
    for i in range(0, len(X), size):
        rows = slice(i, i + size)
        left = factors(X[rows])
        for j in range(0 if Z is not None else i, len(columns), size):
            cols = slice(j, j + size)
            own = Z is None and i == j
            right = left if own else factors(columns[cols])
            tile = _tile(left, right, full=bool(tail))
            mirrored = tile.transpose(1, 0, 3, 2) if tail else tile.T
            if own:
                tile = (tile + mirrored) / 2
            K[rows, cols] = tile
            if Z is None and not own:
                K[cols, rows] = mirrored
    return K


@ieee
def conjugate_kernel(
    module: Any,
    X: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    layer: str | None = None,
    batch_size: int = 1024,
) -> NDArray[np.float64]:
    """Empirical conjugate kernel: (1/d) <h(x), h(z)> of the d features h of a layer.

    Parameters
    ----------
    module : torch.nn.Module
        Evaluated as module(batch), in evaluation mode; left as it was.
    X : array-like of shape (n_samples, ...)
    Z : array-like of shape (m_samples, ...), optional
        Default: X; the result is then exactly symmetric.
    layer : str, optional
        A name as in `module.named_modules()`; features with more than one axis are flattened.
        Default: the activations of the last hidden layer of a `ShallowNetwork`. Other modules need
        one.
    batch_size : int, default 1024
        Rows of a forward pass.

    Returns
    -------
    ndarray of shape (n_samples, m_samples), float64

    Raises
    ------
    TypeError
        For anything but a torch module, and for a layer whose output is not a floating-point tensor
        with a row per sample.
    ValueError
        For a layer that does not exist or is not reached, and for NaN or Inf in X.

    Notes
    -----
    At initialisation it tends to `nc1fast.ConjugateKernel` as the widths grow. The weights of a
    readout w^T h sqrt(s/d) contribute s times it to `empirical_ntk` (s = d in the standard
    parametrization).
    Cost: a forward pass and N M d multiply-adds; memory 8 d (N + M) bytes beside the result.
    Accuracy: that of the module's own dtype; the sums are float64.
    Source: Qadeer et al. (2023), arXiv 2310.18612; Fan & Wang (2020) for the factor 1/d.

    Examples
    --------
    >>> K = nc.networks.conjugate_kernel(network, X)
    >>> module = torch.nn.Sequential(torch.nn.Linear(8, 9), torch.nn.GELU(), torch.nn.Linear(9, 1))
    >>> nc.networks.conjugate_kernel(module, X, layer="1")
    """
    as_module(module)
    name, size = _layer(module, layer), as_count("batch_size", batch_size)
    H = _features(module, placed(module, X), name, size)
    G = H if Z is None else _features(module, placed(module, Z, "Z"), name, size)
    return np.asarray(matmul(H, G.T) / H.shape[1])


def _layer(module: Any, layer: Any) -> str:
    """The name of the requested layer, checked."""
    if layer is None and isinstance(module, ShallowNetwork):
        return str(module.layers[-2])
    names = [name for name, _ in module.named_modules() if name]
    if not isinstance(layer, str) or layer not in names:
        raise ValueError(f"layer must name a submodule ({', '.join(names)}), got {shown(layer)}")
    return layer


def _features(module: Any, X: torch.Tensor, layer: str, size: int) -> NDArray[np.float64]:
    """Features of a layer, shape (n_samples, d); of one that is called several times, those of the
    last call.
    """
    outputs: list[Any] = []
    part = module.get_submodule(layer)
    hook = part.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    parts = []
    with hook, evaluating(module), torch.no_grad():
        for batch in X.split(size):
            outputs.clear()
            module(batch)
            if not outputs:
                raise ValueError(f"layer {layer!r} is not reached by module(X)")
            parts.append(_as_rows(layer, outputs[-1], len(batch)))
    return np.concatenate(parts)


def _as_rows(layer: str, output: Any, n: int) -> NDArray[np.float64]:
    """An output as features, float64 (n, d)."""
    fits = isinstance(output, torch.Tensor) and output.is_floating_point() and output.ndim > 0
    if not fits or len(output) != n:
        raise TypeError(
            f"layer {layer!r} must return one floating-point tensor with a row per sample"
        )
    return np.asarray(output.reshape(n, -1).cpu().double().numpy())
