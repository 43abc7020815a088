"""The collapse of every layer of a torch module, batch by batch."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.feature_sums import FeatureSums
from nc1fast.inputs.arrays import host_array
from nc1fast.inputs.labelled import Classes
from nc1fast.metrics.conventions import CONVENTIONS
from nc1fast.metrics.result import Collapse, collapse_from_sums
from nc1fast.networks.network import Layer, Phi, ShallowNetwork
from nc1fast.sums.settings import STATISTICS
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
    """Return the module, or raise TypeError unless it is a `torch.nn.Module`."""
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
    return module


def placed(module: Any, X: Any, name: str = "X") -> torch.Tensor:
    """X as a tensor on the device of the module; floats get the precision of its parameters.

    Raises
    ------
    TypeError
        For anything that is not an array of real numbers.
    ValueError
        For X without rows or features, for NaN or Inf, and for a shape that a `ShallowNetwork` does not take.
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
        # integers may be indices into an embedding: only a network of linear layers takes them as numbers
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
    """Evaluation mode within the context; every submodule returns to its own mode afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _hooked(module: Any, layers: Sequence[str] | None) -> dict[str, Any]:
    """The submodules whose outputs are measured, by name."""
    named = {name: part for name, part in module.named_modules() if name}
    if layers is None:
        if isinstance(module, ShallowNetwork):
            return {name: named[name] for name in module.layers}
        leaves = {name: p for name, p in named.items() if next(p.children(), None) is None}
        return leaves or {"": module}  # a module without submodules is its own only layer
    if isinstance(layers, str):
        raise TypeError(f"layers must be a list of names, got the string {layers!r}")
    unknown = [name for name in layers if name not in named]
    if unknown or not layers:
        raise ValueError(f"layers must name submodules ({', '.join(named)}), got {list(layers)!r}")
    return {name: named[name] for name in layers}


class _Listener:
    """Collects the features of a batch by layer, in the order of the forward pass."""

    def __init__(self, module: Any, layers: Sequence[str] | None) -> None:
        self.module, self.strict = module, layers is not None
        parts = {type(part) for part in module.children()}
        self.own = isinstance(module, ShallowNetwork) and parts <= {Layer, Phi}
        self.parts = _hooked(module, layers)
        self._batch: dict[str, Any] = {}
        self._rows = 0

    def _hook(self, name: str) -> Any:
        """A forward hook that keeps the output of a layer as features (rows, d)."""

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
        """For each batch of `size` rows: their slice, their features by layer, and the output of the module."""
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


@dataclasses.dataclass(frozen=True)
class ProbeSettings:
    """How the layers of a module are measured.

    Attributes
    ----------
    layers : sequence of str, optional
        Names of submodules. Default: all that qualify, see `probe`.
    batch_size : int, default 1024
    convention : str, optional
    statistics : {"all", "sums"}, default "all"

    Raises
    ------
    TypeError, ValueError
        For a value that is not allowed; the names of layers are checked against the module later.
    """

    layers: Sequence[str] | None = None
    batch_size: int = 1024
    convention: str | None = None
    statistics: str = "all"

    def __post_init__(self) -> None:
        object.__setattr__(self, "batch_size", as_count("batch_size", self.batch_size))
        check_choice("statistics", self.statistics, STATISTICS)
        if self.convention is not None:
            check_choice("convention", self.convention, CONVENTIONS)


@dataclasses.dataclass(frozen=True, eq=False)
class LayerResult:
    """The measurements of one layer.

    Attributes
    ----------
    collapse : Collapse or None
        None where the metrics are not defined.
    means : ndarray of shape (n_classes, d)
        Class means.
    error : str
        Why the metrics are not defined; "" where they are.
    """

    collapse: Collapse | None
    means: Array
    error: str = ""


def layer_results(
    module: Any,
    X: Any,
    classes: Classes,
    settings: ProbeSettings,
    watch: Callable[[slice, Any], object] | None = None,
) -> dict[str, LayerResult]:
    """Metrics of every layer from two passes over X; one for statistics="sums", or if X is a single batch.

    The first pass adds up class moments; the second, which knows the class means mu_c, computes the row-class sums
    R_ci = n_c <mu_c, h_i>.

    Parameters
    ----------
    module : torch.nn.Module
    X : tensor of shape (n_samples, ...)
    classes : Classes
    settings : ProbeSettings
    watch : callable(rows, output), optional
        Called for every batch of the first pass, before its features are used.
    """
    size = settings.batch_size
    listener = _Listener(module, settings.layers)
    sums: dict[str, FeatureSums] = {}
    batches: Any = []
    for rows, features, output in listener.batches(X, size):
        batches = [(rows, features, output)]
        if watch is not None:
            watch(rows, output)
        for name, H in features.items():
            try:
                sums.setdefault(name, FeatureSums()).update(H, classes.of_row[rows])
            except ValueError as error:
                raise ValueError(f"layer {name!r}: {error}") from error
    if not sums:
        raise ValueError("layers must include one whose output is a tensor with a row per sample")
    means = {name: of_layer.means() for name, of_layer in sums.items()}
    R: dict[str, Array] = {}
    if settings.statistics == "all":
        R = _row_sums(batches if len(X) <= size else listener.batches(X, size), means, classes)
    results = {}
    for name, of_layer in sums.items():
        whole = dataclasses.replace(of_layer.class_sums(), labels=classes.labels)
        if name in R:
            whole = dataclasses.replace(whole, class_rows=R.pop(name), order=classes.order)
        try:
            collapse = collapse_from_sums(whole, settings.convention, keep_rows=False)
            results[name] = LayerResult(collapse, means[name])
        except ValueError as error:
            results[name] = LayerResult(None, means[name], str(error))
    return results


def _row_sums(batches: Any, means: dict[str, Array], classes: Classes) -> dict[str, Array]:
    """The row-class sums of every layer, (C, N) with columns sorted by class, from its class means (C, d)."""
    place = np.empty_like(classes.order)  # the position of each row once sorted by class
    place[classes.order] = np.arange(len(place))
    scaled = {name: classes.sizes[:, None] * mu for name, mu in means.items()}
    R = {name: np.empty((len(classes), len(place))) for name in means}
    for rows, features, _ in batches:
        for name, H in features.items():
            R[name][:, place[rows]] = matmul(scaled[name], H.T.astype(np.float64, copy=False))
    return R


def features_of(module: Any, X: Any, layer: str, size: int) -> Array:
    """Features of one layer, float64 (n_samples, d), in batches of `size` rows; of a layer called several times, those of the last call.

    Raises
    ------
    TypeError
        For a layer whose output is not a floating-point tensor with a row per sample.
    ValueError
        For a layer that is not reached.
    """
    parts = []
    for _, features, _ in _Listener(module, [layer]).batches(X, size):
        if not features:
            raise ValueError(f"layer {layer!r} is not reached by module(X)")
        parts.append(np.asarray(list(features.values())[-1], dtype=np.float64))
    return np.concatenate(parts)


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
    """Measure the collapse of each layer of a torch module, in evaluation mode and without gradients.

    Parameters
    ----------
    module : torch.nn.Module
        Called as module(batch). Its weights, gradients and the modes of its submodules are left unchanged.
    X : array-like or tensor of shape (n_samples, ...)
        Moved to the device of the module; floats are cast to its precision.
    y : array-like of shape (n_samples,)
        Labels of any sortable dtype.
    layers : sequence of str, optional
        Names as in `module.named_modules()`. Default: the `layers` of a `ShallowNetwork`; for other modules, all without
        submodules whose output is one floating-point tensor with a row per sample.
    batch_size : int, default 1024
        Rows of a forward pass.
    convention : str, optional
        As in `nc1fast.collapse`.
    statistics : {"all", "sums"}, default "all"
        "all" passes over X twice (once if it is a single batch) and keeps N C numbers per layer during the call; "sums"
        passes over it once and leaves nc1_pinv, nearest_center and ncc_accuracy None.

    Returns
    -------
    dict of str to Collapse
        By layer, in the order of the forward pass; features with more than one axis are flattened. A module that is called
        k times in one pass gives "name", "name#2", ..., "name#k".

    Raises
    ------
    TypeError
        For anything but a torch module, and for a named layer whose output is not a floating-point tensor with a row per
        sample.
    ValueError
        For unknown layers, NaN or Inf in X or in a layer, a single class, and a layer whose rows are all equal (its NC1
        is 0/0).

    Notes
    -----
    Cost: one or two forward passes and 6 N d (C + 1) flops per layer; memory O(batch_size d + C d) per layer.
    Accuracy: that of `FeatureSums`, for the features as the module computed them.
    """
    as_module(module)
    settings = ProbeSettings(layers, batch_size, convention, statistics)
    tensor = placed(module, X)
    results = layer_results(module, tensor, Classes.of(y, len(tensor)), settings)
    failed = {name: r.error for name, r in results.items() if r.collapse is None}
    if failed:
        name, error = next(iter(failed.items()))
        raise ValueError(f"layer {name!r}: {error}")
    return {name: r.collapse for name, r in results.items() if r.collapse is not None}
