"""The empirical neural tangent kernel of a torch module, in tiles.

Fully connected networks need no Jacobian: with a_l(x) the input of layer l and delta_l(x) = df/du_l
its backward signal,
    Theta(x, z) = sum_l <delta_l(x), delta_l(z)> (w_l^2 <a_l(x), a_l(z)> + b_l^2),
w_l and b_l the scales of the layer's weight and bias (0 where they do not train). Any other module
goes through per-sample Jacobians (torch.func), a few rows at a time.
Source: Jacot, Gabriel & Hongler (2018); the layer form is Goodfellow (2015), "Efficient per-example
gradient computations".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.networks.network import ShallowNetwork
from nc1fast.networks.probing.keeping import evaluating
from nc1fast.networks.probing.modules import as_module, placed
from nc1fast.support.arguments import as_count, shown
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from numpy.typing import ArrayLike, NDArray

    Factors = Callable[[torch.Tensor], list[tuple[Any, Any]]]
else:
    torch = require("torch", "torch")

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
    >>> nc.collapse(X, y, functools.partial(nc.networks.empirical_ntk, network))  # its NC1, streamed
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
                f"module must return (n_samples,) or (n_samples, n_outputs), got {tuple(sample.shape)} for one row"
            )
        n_outputs = 1 if sample.ndim == 1 else sample.shape[1]
        which = _outputs(outputs, n_outputs)
        if batch_size is None:
            trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
            row = trained * len(which) * sample.element_size()
            batch_size = _CLOSED_ROWS if closed else max(1, _TILE_BYTES // row)
        batch_size = as_count("batch_size", batch_size)
        factors = (_closed_factors if closed else _jacobian_factors)(module, which)
        tail = (len(which), len(which)) if outputs == "full" else ()
        return _tiled(factors, rows, columns, batch_size, tail)


def _outputs(outputs: str | int, n_outputs: int) -> list[int]:
    """Indices of the outputs asked for."""
    if isinstance(outputs, str):
        if outputs not in ("mean", "full"):
            raise ValueError(f"outputs must be 'mean', 'full' or an integer, got {shown(outputs)}")
        return list(range(n_outputs))
    index = as_count("outputs", outputs, 0)
    if index >= n_outputs:
        raise ValueError(f"outputs must be below the {n_outputs} of the module, got {index}")
    return [index]


# Factors of n rows: terms (D, A), D of shape (n, K, m) and A of shape (n, m') or None. The kernel
# is the sum over terms of <D, D'> <A, A'>, the second product being 1 without A.


def _closed_factors(module: Any, which: list[int]) -> Factors:
    """The factors of a fully connected network: (delta_l, augmented input of layer l) for every
    layer.
    """
    layers = list(module.weight_layers().values())

    def factors(X: torch.Tensor) -> list[tuple[Any, Any]]:
        inputs: list[Any] = []
        signals: list[Any] = []
        h = X
        with torch.enable_grad():
            for part in module.children():
                if part not in layers:
                    h = part(h)
                    continue
                inputs.append(h.detach())
                h = part(h)
                if not h.requires_grad:  # every layer so far is frozen
                    h.requires_grad_()
                signals.append(h)
            deltas = _deltas(h, signals, which)
        terms = []
        for layer, a, delta in zip(layers, inputs, deltas, strict=True):
            augmented = []
            if layer.weight.requires_grad:
                augmented.append(a * layer.weight_scale)
            if layer.bias is not None and layer.bias.requires_grad:
                augmented.append(torch.full_like(a[:, :1], layer.bias_scale))
            if augmented:
                terms.append((delta, torch.cat(augmented, dim=1)))
        return terms

    return factors


def _deltas(outputs: torch.Tensor, signals: list[Any], which: list[int]) -> list[Any]:
    """Derivatives of some outputs by the pre-activations of every layer, each (n, K, layer width)."""
    deltas: list[list[Any]] = [[] for _ in signals]
    for k in which:
        found = torch.autograd.grad(
            outputs[:, k].sum(), signals, retain_graph=True, allow_unused=True
        )
        for of_layer, g, u in zip(deltas, found, signals, strict=True):
            of_layer.append(torch.zeros_like(u) if g is None else g)
    return [torch.stack(of_layer, dim=1) for of_layer in deltas]


def _jacobian_factors(module: Any, which: list[int]) -> Factors:
    """The factors of any module: per-sample Jacobians, one term per parameter."""
    trained = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    fixed = {name: p.detach() for name, p in module.named_parameters() if not p.requires_grad}
    fixed |= dict(module.named_buffers())

    def outputs(parameters: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
        out = torch.func.functional_call(module, (parameters, fixed), (x[None],))
        return out.reshape(-1)[which]

    def factors(X: torch.Tensor) -> list[tuple[Any, Any]]:
        jacobian = torch.func.vmap(torch.func.jacrev(outputs), in_dims=(None, 0))(trained, X)
        return [(J.detach().flatten(2), None) for J in jacobian.values()]

    return factors


def _tile(
    left: list[tuple[Any, Any]], right: list[tuple[Any, Any]], *, full: bool
) -> NDArray[np.float64]:
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
    factors: Factors, X: torch.Tensor, Z: torch.Tensor | None, size: int, tail: tuple[int, ...]
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

    def parts(n: int, first: int = 0) -> Iterator[slice]:
        return (slice(s, min(n, s + size)) for s in range(first, n, size))

    for rows in parts(len(X)):
        left = factors(X[rows])
        for cols in parts(len(columns), 0 if Z is not None else rows.start):
            own = Z is None and cols == rows
            right = left if own else factors(columns[cols])
            tile = _tile(left, right, full=bool(tail))
            mirrored = tile.transpose(1, 0, 3, 2) if tail else tile.T
            if own:
                tile = (tile + mirrored) / 2
            K[rows, cols] = tile
            if Z is None and not own:
                K[cols, rows] = mirrored
    return K
