"""The empirical conjugate kernel of a torch module: inner products of the features of one layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.networks.network import ShallowNetwork
from nc1fast.networks.probing.keeping import evaluating
from nc1fast.networks.probing.modules import as_module, placed
from nc1fast.support.arguments import as_count, shown
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray
else:
    torch = require("torch", "torch")


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
    >>> nc.networks.conjugate_kernel(module, X, layer="1")  # of torch.nn.Sequential(Linear, GELU, Linear)
    """
    as_module(module)
    name, size = _layer(module, layer), as_count("batch_size", batch_size)
    H = _features(module, placed(module, X), name, size)
    G = H if Z is None else _features(module, placed(module, Z, "Z"), name, size)
    return np.asarray(matmul(H, G.T) / H.shape[1])


def _layer(module: Any, layer: Any) -> str:
    """The name of the layer asked for, checked."""
    if layer is None and isinstance(module, ShallowNetwork):
        return module.layers[-2]
    names = [name for name, _ in module.named_modules() if name]
    if not isinstance(layer, str) or layer not in names:
        raise ValueError(f"layer must name a submodule ({', '.join(names)}), got {shown(layer)}")
    return layer


def _features(module: Any, X: torch.Tensor, layer: str, size: int) -> NDArray[np.float64]:
    """Features of a layer, shape (n_samples, d); of one that is called several times, those of the
    last call.
    """
    heard: list[Any] = []
    handle = module.get_submodule(layer).register_forward_hook(lambda *call: heard.append(call[2]))
    parts = []
    try:
        with evaluating(module), torch.no_grad():
            for batch in X.split(size):
                heard.clear()
                module(batch)
                if not heard:
                    raise ValueError(f"layer {layer!r} is not reached by module(X)")
                parts.append(_as_rows(layer, heard[-1], len(batch)))
    finally:
        handle.remove()
    return np.concatenate(parts)


def _as_rows(layer: str, output: Any, n: int) -> NDArray[np.float64]:
    """An output as features, float64 (n, d)."""
    fits = isinstance(output, torch.Tensor) and output.is_floating_point() and output.ndim > 0
    if not fits or len(output) != n:
        raise TypeError(
            f"layer {layer!r} must return one floating-point tensor with a row per sample"
        )
    return np.asarray(output.reshape(n, -1).cpu().double().numpy())
