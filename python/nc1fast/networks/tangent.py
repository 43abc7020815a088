"""The empirical neural tangent kernel of a torch module, in tiles.

Fully connected networks need no Jacobian: with a_l(x) the input of layer l and delta_l(x) = df/du_l its backward signal,
    Theta(x, z) = sum_l <delta_l(x), delta_l(z)> (w_l^2 <a_l(x), a_l(z)> + b_l^2),
w_l and b_l the scales of the layer's weight and bias (0 where they do not train). Any other module goes through
per-sample Jacobians (torch.func), a few rows at a time.
Source: Jacot, Gabriel & Hongler (2018); the layer form is Goodfellow (2015), "Efficient per-example gradient computations".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.networks.network import ShallowNetwork
from nc1fast.networks.probing import as_module, evaluating, placed
from nc1fast.support.arguments import as_count, shown
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from numpy.typing import ArrayLike, NDArray
else:
    torch = require("torch", "torch")

_TILE_BYTES = 1 << 26  # of the Jacobians of one side of a tile
_CLOSED_ROWS = 1024


@ieee
def empirical_ntk(
    module: Any,
    X: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    outputs: str | int = "mean",
    batch_size: int | None = None,
) -> NDArray[np.float64]:
    """Empirical NTK: inner products of the gradients of the outputs by every parameter that requires a gradient.

    Parameters
    ----------
    module : torch.nn.Module
        Evaluated as module(batch), giving (n_samples,) or (n_samples, n_outputs), in evaluation mode; left as it was.
    X : array-like of shape (n_samples, ...)
    Z : array-like of shape (m_samples, ...), optional
        Default: X itself; the result is then exactly symmetric.
    outputs : {"mean", "full"} or int, default "mean"
        "mean": (1/K) sum_k <df_k(x), df_k(z)>, which tends to `ShallowNetwork.ntk` as the width grows; an int: that
        output alone; "full": all pairs of outputs.
    batch_size : int, optional
        Rows of a tile. Default: 1024 for a `ShallowNetwork` without batch normalization, else as many as keep their
        Jacobians within 64 MiB.

    Returns
    -------
    ndarray of shape (n_samples, m_samples), float64
        (n_samples, m_samples, n_outputs, n_outputs) for "full".

    Raises
    ------
    TypeError
        For a module that is none.
    ValueError
        For an output that does not exist, NaN or Inf in X, a module without trained parameters or whose outputs have
        another shape.

    Notes
    -----
    Cost: for a `ShallowNetwork` without batch normalization 2 N M (sum of layer widths) flops, no Jacobian; otherwise
    2 N M K flops per parameter, and with several tiles a side the Jacobians of Z once per tile of X.
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
        factors = _closed_factors if closed else _jacobian_factors(module)
        return _tiled(module, rows, columns, factors, which, batch_size, full=outputs == "full")


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


# Factors of a set of rows: terms (D, A), D of shape (rows, K, n) and A of shape (rows, m) or None; the kernel is the sum
# over terms of <D, D'> <A, A'> (None: 1).


def _closed_factors(module: Any, X: torch.Tensor, which: list[int]) -> list[tuple[Any, Any]]:
    """(delta_l, augmented input of layer l) for every layer of a fully connected network."""
    inputs: list[Any] = []
    signals: list[Any] = []
    h = X
    with torch.enable_grad():
        for part in module.children():
            if part in module.weight_layers().values():
                inputs.append(h.detach())
                h = part(h)
                if not h.requires_grad:  # every layer so far is frozen
                    h.requires_grad_()
                signals.append(h)
            else:
                h = part(h)
        deltas: list[list[Any]] = [[] for _ in signals]
        for k in which:
            found = torch.autograd.grad(
                h[:, k].sum(), signals, retain_graph=True, allow_unused=True
            )
            for column, g, u in zip(deltas, found, signals, strict=True):
                column.append(torch.zeros_like(u) if g is None else g)
    terms = []
    for layer, a, columns in zip(module.weight_layers().values(), inputs, deltas, strict=True):
        augmented = []
        if layer.weight.requires_grad:
            augmented.append(a * layer.weight_scale)
        if layer.bias is not None and layer.bias.requires_grad:
            augmented.append(torch.full_like(a[:, :1], layer.bias_scale))
        if augmented:
            terms.append((torch.stack(columns, dim=1), torch.cat(augmented, dim=1)))
    return terms


def _jacobian_factors(module: Any) -> Callable[..., list[tuple[Any, Any]]]:
    """Per-sample Jacobians of any module, one term per parameter."""
    trained = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    fixed = {name: p.detach() for name, p in module.named_parameters() if not p.requires_grad}
    fixed |= dict(module.named_buffers())

    def factors(module: Any, X: torch.Tensor, which: list[int]) -> list[tuple[Any, Any]]:
        def f(parameters: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
            out = torch.func.functional_call(module, (parameters, fixed), (x[None],))
            return out.reshape(-1)[which]

        jacobian = torch.func.vmap(torch.func.jacrev(f), in_dims=(None, 0))(trained, X)
        return [(J.detach().flatten(2), None) for J in jacobian.values()]

    return factors


def _tile(
    left: list[tuple[Any, Any]], right: list[tuple[Any, Any]], *, full: bool
) -> NDArray[np.float64]:
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
    module: Any,
    X: torch.Tensor,
    Z: torch.Tensor | None,
    factors: Callable[..., list[tuple[Any, Any]]],
    which: list[int],
    size: int,
    *,
    full: bool,
) -> NDArray[np.float64]:
    """All tiles; above the diagonal only, and mirrored, where Z is X."""
    columns = X if Z is None else Z
    tail = (len(which), len(which)) if full else ()
    K = np.empty((len(X), len(columns), *tail))

    def parts(n: int, first: int = 0) -> Iterator[slice]:
        return (slice(s, min(n, s + size)) for s in range(first, n, size))

    for rows in parts(len(X)):
        left = factors(module, X[rows], which)
        for cols in parts(len(columns), 0 if Z is not None else rows.start):
            own = Z is None and cols == rows
            right = left if own else factors(module, columns[cols], which)
            tile = _tile(left, right, full=full)
            mirrored = tile.transpose(1, 0, 3, 2) if full else tile.T
            if own:
                tile = (tile + mirrored) / 2
            K[rows, cols] = tile
            if Z is None and not own:
                K[cols, rows] = mirrored
    return K
