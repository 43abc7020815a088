"""`probe`: the collapse of the layers of a torch module, from one pass over batches or two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nc1fast.networks.probing.batches import Source
from nc1fast.networks.probing.layers import layers_of
from nc1fast.networks.probing.measurement import Measurement
from nc1fast.networks.probing.modules import as_module
from nc1fast.networks.probing.settings import ProbeSettings, classifiers_of
from nc1fast.support.arguments import as_count
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike

    from nc1fast.networks.probing.outputs import Pool
    from nc1fast.networks.probing.result import LayerCollapse


@ieee
def probe(
    module: Any,
    data: Any,
    y: ArrayLike | str | Callable[[Any], Any] | None = None,
    layers: Sequence[str] | str | None = None,
    *,
    pool: Pool | Mapping[str, Pool] = "flatten",
    classifier: Any = None,
    forward: Callable[[Any, Any], object] | None = None,
    passes: int | str = "auto",
    batch_size: int = 1024,
    ignore_index: int | None = None,
    convention: str | None = None,
    statistics: str = "all",
    memory_limit: int | None = None,
) -> LayerCollapse:
    """Measure the collapse of each layer of a torch module, in evaluation mode and without
    gradients.

    Of the features sums are kept, on the device where they are computed, and nothing else: neither
    rows nor layers.

    Parameters
    ----------
    module : torch.nn.Module
        Weights, gradients, buffers, hooks, modes of submodules, and the random numbers of torch,
        NumPy and Python are afterwards as they were, whatever happens.
    data : array-like, tensor, tuple or mapping of them, Dataset, DataLoader, or iterable of batches
        Arrays with a row per sample, beside `y`; a tuple (X, ..., y) or a mapping of arrays with
        labels among them; or batches (x, y), (x1, x2, ..., y), ((x1, x2), y) or mappings. Each
        batch is moved to the device of the module, floats are cast to its precision. The module is
        called as `module(x)`, `module(*xs)` or `module(**mapping)`, without labels.
    y : array-like of shape (n_samples,) or (n_samples, n_tokens), str or callable, optional
        Labels of any sortable dtype; for batches the key of the labels (default: "labels", "label",
        "targets", "target" or "y") or a function of a batch that returns them.
    layers : sequence of str or "blocks", optional
        Names as in `module.named_modules()`; "NAME.input" is what that module is called with,
        "NAME#0" and "NAME#key.1" are tensors within a tuple, a mapping or a dataclass. "blocks":
        the elements of sequences and lists of modules and what stands beside these, whose outputs
        are those after residual sums. Default: the `layers` of a `ShallowNetwork`; for other
        modules, all without submodules.
    pool : {"flatten", "mean", "max", "cls", "tokens"}, callable, or mapping of layers to these,
    default "flatten"
        From an output to rows. Outputs are (n_samples, n_tokens, d) or, with more axes, (n_samples,
        d, ...). "tokens": each token is a row, of its own label or of that of its sample; "mean",
        "max": over tokens, without those that "attention_mask" of the batch calls padding; "cls":
        the first token. A callable returns a tensor of features in its last axis, with a row per
        label. A mapping has "" for the others.
    classifier : str, torch.nn.Linear, (W, b), or mapping of layers to these two, optional
        Name of a linear layer, whose input is measured too, as "NAME.input", and gets NC3, NC4 and
        the other metrics of a classifier. (W, b) belong to the one layer of `layers`. Row c of W is
        class c of the sorted labels; of integer labels, row y.
    forward : callable(module, batch), optional
        Where calling the module is not enough: gets each whole batch, labels among it, on the
        device of the module.
    passes : {"auto", 1, 2}, default "auto"
        The second pass gives nearest class means, NC4 and, unless `statistics` says otherwise, the
        scatter within classes. One pass adds up the scatter of layers of at most 1,024 features.
        "auto": 2, where `data` are no iterator. In both passes random numbers are the same.
    batch_size : int, default 1024
        Rows of a forward pass, of arrays and a Dataset.
    ignore_index : int, optional
        Label of rows that are left out; default: -100 where labels have more than one axis.
    convention : str, optional
        As in `nc1fast.collapse`.
    statistics : {"all", "nearest", "sums"}, default "all"
        "nearest": without the scatter, of which nc1_pinv and the ranks of Sigma_W come; "sums": one
        pass, without what the second gives and without the scatter.
    memory_limit : int, optional
        Bytes that the sums of all layers may take; checked after the first batch.

    Returns
    -------
    LayerCollapse
        A dict from layer to `Collapse`, in the order of the forward pass. `reasons` says why a
        layer has none: all of its rows are equal, or its output has no row per label. A module that
        is called k times in one pass gives "name", "name#2", ..., "name#k". nearest_center is in
        the order of the second pass.

    Raises
    ------
    TypeError
        For anything but a torch module, for batches without labels, and for a named layer whose
        output is not a floating-point tensor with a row per label.
    ValueError
        For unknown layers, NaN or Inf in data or in a layer, a single class, no layer with a
        result, data that differ from pass to pass, and sums that exceed `memory_limit`.

    Notes
    -----
    Cost: a forward pass and 6 N d flops per layer: on the host one reading of the features, and of
    the sums of the classes that a batch has. In the second pass a forward pass, 2 N d C flops in
    float32, certified, for rows that do not lie near their mean, and in float64, for the scatter,
    1.2 N d min(C, d) of no more features than classes, else N C (2 d + 1.2 C); those of C or d
    alone twice for unequal classes. The decisions of a `torch.nn.Linear` come from its outputs.
    Memory beside batch and module: `probe_memory`, and 100 MiB of pieces.
    Accuracy: float64 sums about a row of each class, compensated after 64 rows: `error_bound`
    covers them in any order. Nearest means and decisions are those of float64, whoever computes
    them. Autocast and the types of the features are those of the module: float16 and bfloat16 are
    widened exactly.

    Examples
    --------
    >>> found = nc.networks.probe(model, loader, layers="blocks", classifier="fc")
    >>> found["fc.input"].nc1, found["fc.input"].nc4_agreement
    """
    as_module(module)
    settings = ProbeSettings(
        pool, forward, passes, batch_size, ignore_index, convention, statistics, memory_limit
    )
    weights = classifiers_of(module, classifier, layers)
    probed = layers_of(module, layers, list(weights))
    return Measurement(module, Source(module, data, y, settings), probed, weights, settings).run()


@ieee
def probe_memory(
    module: Any,
    batch: Any,
    n_classes: int,
    y: Any = None,
    layers: Sequence[str] | str | None = None,
    **options: Any,
) -> dict[str, int]:
    """Bytes of the sums that `probe` keeps for each layer, from one batch: before a long pass.

    Parameters
    ----------
    module, layers, **options
        As `probe`.
    batch : (x, y) or mapping
        One batch, as the data give it.
    n_classes : int
        Classes of all data.
    y : str or callable, optional
        As `probe` takes it for batches.

    Returns
    -------
    dict of str to int
    """
    as_module(module)
    weights = classifiers_of(module, options.pop("classifier", None), layers)
    settings = ProbeSettings.of(**options)
    probed = layers_of(module, layers, list(weights))
    source = Source(module, [batch], y, settings)
    source.n_classes = as_count("n_classes", n_classes)
    measurement = Measurement(module, source, probed, weights, settings)
    measurement.shapes_alone = True
    measurement.first_pass()
    return measurement.memory()
