"""Collapse of every layer of any torch module, batch by batch."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.feature_sums import FeatureSums
from nc1fast.inputs.arrays import host_array
from nc1fast.inputs.labelled import Classes
from nc1fast.metrics.result import CONVENTIONS, Collapse, collapse_from_sums
from nc1fast.networks.network import Layer, Phi, ShallowNetwork
from nc1fast.support.arguments import as_count, check_choice
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]
else:
    torch = require("torch", "torch")


def as_module(module: Any) -> Any:
    """A torch module, or a TypeError."""
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
    return module


def placed(module: Any, X: Any, name: str = "X") -> torch.Tensor:
    """X as a tensor on the device of the module, floats in its precision.

    Raises
    ------
    TypeError
        For anything that is not an array of numbers.
    ValueError
        For no rows, and for NaN or Inf.
    """
    if not isinstance(X, torch.Tensor):
        array = host_array(X, name)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
        X = torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    if X.ndim < 2 or 0 in X.shape:
        raise ValueError(f"{name} must have rows of features, got shape {tuple(X.shape)}")
    parameter = next((p for p in module.parameters() if p.is_floating_point()), None)
    if parameter is not None:
        X = X.to(parameter.device)
        # integers may be indices of an embedding: only a network of linear layers wants them as numbers
        if X.is_floating_point() or isinstance(module, ShallowNetwork):
            X = X.to(parameter.dtype)
    if X.is_floating_point() and not bool(torch.isfinite(X).all()):
        raise ValueError(f"{name} must be finite, but it contains NaN or Inf")
    if isinstance(module, ShallowNetwork) and tuple(X.shape[1:]) != (module.n_features,):
        raise ValueError(
            f"{name} must have shape (n_samples, {module.n_features}) for this network, got {tuple(X.shape)}"
        )
    return X.detach()


@contextlib.contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Evaluation mode, and every submodule's own mode afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _hooked(module: Any, layers: Sequence[str] | None) -> dict[str, Any]:
    """The submodules to listen to, by name."""
    named = {name: part for name, part in module.named_modules() if name}
    if layers is None:
        if isinstance(module, ShallowNetwork):
            return {name: named[name] for name in module.layers}
        leaves = {name: p for name, p in named.items() if next(p.children(), None) is None}
        return leaves or {"": module}  # a module without parts is its own only layer
    if isinstance(layers, str):
        raise TypeError(f"layers must be a list of names, got the string {layers!r}")
    unknown = [name for name in layers if name not in named]
    if unknown or not layers:
        raise ValueError(f"layers must name submodules ({', '.join(named)}), got {list(layers)!r}")
    return {name: named[name] for name in layers}


class _Listener:
    """Features of one batch, by layer, in the order of the forward pass."""

    def __init__(self, module: Any, layers: Sequence[str] | None) -> None:
        self.module, self.strict = module, layers is not None
        parts = {type(part) for part in module.children()}
        self.own = isinstance(module, ShallowNetwork) and parts <= {Layer, Phi}
        self.parts = _hooked(module, layers)
        self._batch: dict[str, Any] = {}
        self._rows = 0

    def _hook(self, name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            if (
                not isinstance(output, torch.Tensor)
                or not output.ndim
                or len(output) != self._rows
                or not output.is_floating_point()
            ):
                if self.strict:
                    raise TypeError(
                        f"layer {name!r} must return one floating-point tensor with a row per sample"
                    )
                return
            calls = sum(key.partition("#")[0] == name for key in self._batch)
            H = output.detach().reshape(self._rows, -1)
            if H.dtype is torch.bfloat16:
                H = H.float()
            H = H.cpu() if self.own else H.cpu().clone()  # a later layer may work in place
            self._batch[f"{name}#{calls + 1}" if calls else name] = H.numpy()

        return hook

    def batches(self, X: Any, size: int) -> Iterator[tuple[slice, dict[str, NDArray[Any]], Any]]:
        """Rows, their features per layer and what the module returned, batch by batch."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(evaluating(self.module))
            stack.enter_context(torch.no_grad())
            for name, part in self.parts.items():
                handle = part.register_forward_hook(self._hook(name))
                stack.callback(handle.remove)
            for start in range(0, len(X), size):
                batch = X[start : start + size]
                self._batch, self._rows = {}, len(batch)
                output = self.module(batch)
                yield slice(start, start + len(batch)), self._batch, output


@dataclasses.dataclass(frozen=True, eq=False)
class LayerResult:
    """What a pass says about one layer; `error` in place of metrics that are not defined."""

    collapse: Collapse | None
    means: Array  # (C, d), class means
    error: str = ""


def layer_results(
    module: Any,
    X: Any,
    classes: NDArray[np.int32],
    labels: NDArray[Any],
    *,
    layers: Sequence[str] | None = None,
    batch_size: int = 1024,
    convention: str | None = None,
    rows: bool = True,
    watch: Callable[[slice, Any], object] | None = None,
) -> dict[str, LayerResult]:
    """Metrics of every layer from two passes over X (one without `rows`, or if X is a single batch).

    The first adds up class moments; the second, which knows the class means, R_ic = n_c <mu_c, h_i>. `watch` is called
    with the rows and the output of every batch of the first, before its features are used.
    """
    listener = _Listener(module, layers)
    sums: dict[str, FeatureSums] = {}
    passed: Any = []
    for part, features, output in listener.batches(X, batch_size):
        passed = [(part, features, output)]
        if watch is not None:
            watch(part, output)
        for name, H in features.items():
            try:
                sums.setdefault(name, FeatureSums()).update(H, classes[part])
            except ValueError as error:
                raise ValueError(f"layer {name!r}: {error}") from error
    if not sums:
        raise ValueError("layers must include one whose output is a tensor with a row per sample")
    means = {name: of_layer.means() for name, of_layer in sums.items()}
    order = np.argsort(classes, kind="stable").astype(np.int64)
    R: dict[str, Array] = {}
    if rows:
        place = np.empty_like(order)  # where a row stands once sorted by class
        place[order] = np.arange(len(order))
        sizes = np.bincount(classes, minlength=len(labels))[:, None]
        R = {name: np.empty((len(labels), len(classes))) for name in sums}
        if len(X) > batch_size:
            passed = listener.batches(X, batch_size)
        for part, features, _ in passed:
            for name, H in features.items():
                R[name][:, place[part]] = matmul(
                    sizes * means[name], H.T.astype(np.float64, copy=False)
                )
    results = {}
    for name, of_layer in sums.items():
        whole = dataclasses.replace(of_layer.class_sums(), labels=labels)
        if rows:
            whole = dataclasses.replace(whole, class_rows=R.pop(name), order=order)
        try:
            collapse = collapse_from_sums(whole, convention, keep_rows=False)
            results[name] = LayerResult(collapse, means[name])
        except ValueError as error:
            results[name] = LayerResult(None, means[name], str(error))
    return results


@ieee
def probe(
    module: Any,
    X: ArrayLike,
    y: ArrayLike,
    layers: Sequence[str] | None = None,
    *,
    batch_size: int = 1024,
    convention: str | None = None,
    statistics: str = "all",
) -> dict[str, Collapse]:
    """How collapsed are the features of each layer of a torch module? In evaluation mode, without gradients.

    Parameters
    ----------
    module : torch.nn.Module
        Called as module(batch). Weights, gradients and the mode of every submodule are as they were afterwards.
    X : array-like or tensor of shape (n_samples, ...)
        Moved to the device of the module; floats are cast to its precision.
    y : array-like of shape (n_samples,)
        Labels of any sortable dtype.
    layers : sequence of str, optional
        Names as in `module.named_modules()`. Default: for a `ShallowNetwork` its `layers`; else all modules without
        submodules whose output is one floating-point tensor with a row per sample.
    batch_size : int, default 1024
    convention : str, optional
        As `nc1fast.collapse`.
    statistics : {"all", "sums"}, default "all"
        "all" passes over X twice (once if it is a single batch) and keeps N C numbers a layer during the call; "sums"
        passes once and leaves nc1_pinv, nearest_center and ncc_accuracy None.

    Returns
    -------
    dict of str to Collapse
        In the order of the forward pass; features of more than one axis are flattened. A module that is called k times in
        one pass gives "name", "name#2", ..., "name#k".

    Raises
    ------
    TypeError
        For a module that is none; for a named layer whose output is not a floating-point tensor with a row per sample.
    ValueError
        For unknown layers; NaN or Inf in X or in a layer; one class; a layer whose rows are all equal (its NC1 is 0/0).

    Notes
    -----
    Cost: one or two forward passes and 6 N d (C + 1) flops a layer; memory O(batch_size d) and O(C d) a layer.
    Accuracy: as `FeatureSums`, of the features as the module computed them.
    """
    as_module(module)
    batch_size = as_count("batch_size", batch_size)
    check_choice("statistics", statistics, ("all", "sums"))
    if convention is not None:
        check_choice("convention", convention, CONVENTIONS)
    tensor = placed(module, X)
    found = Classes.of(y, len(tensor))
    classes, labels = found.of_row, found.labels
    results = layer_results(
        module,
        tensor,
        classes,
        labels,
        layers=layers,
        batch_size=batch_size,
        convention=convention,
        rows=statistics == "all",
    )
    failed = {name: r.error for name, r in results.items() if r.collapse is None}
    if failed:
        name, error = next(iter(failed.items()))
        raise ValueError(f"layer {name!r}: {error}")
    return {name: r.collapse for name, r in results.items() if r.collapse is not None}
