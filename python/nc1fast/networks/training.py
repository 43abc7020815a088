"""`train`: a shallow network in training, its collapse probed layer by layer."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nc1fast.datasets.paths import reads_files
from nc1fast.networks.network import ShallowNetwork, as_dtype
from nc1fast.networks.objective import check_objective
from nc1fast.networks.running import Run, TrainingData
from nc1fast.networks.settings import TrainingSettings
from nc1fast.support.arguments import seed_of, shown
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import reporting

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from numpy.typing import ArrayLike

    from nc1fast.networks.trace import Trace


@ieee
@reads_files("X", labels="y", in_memory=True)
def train(
    network: ShallowNetwork,
    X: ArrayLike,
    y: ArrayLike,
    *,
    targets: str | ArrayLike = "scalar",
    loss: str = "mse",
    optimizer: str = "sgd",
    lr: float = 1e-3,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    temperature: float | None = None,
    epochs: int = 1000,
    until: str | tuple[str, float] | None = None,
    batch_size: int | None = None,
    repeats: int = 1,
    probe: str | ArrayLike = "log",
    convention: str | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    seed: int = 0,
    progress: bool | Callable[[int, int], object] = False,
    checkpoint: str | PathLike[str] | None = None,
    rng: Any = None,
) -> Trace:
    """Train a network and follow the collapse of every layer.

    Parameters
    ----------
    network : ShallowNetwork
        It is not changed: copies are trained, and returned in the trace.
    X : array-like of shape (n_samples, n_features), or path
    y : array-like of shape (n_samples,), path, or part of the file X
        Labels of any sortable dtype.
    targets : {"scalar", "one-hot"} or array-like of shape (n_samples,) or (n_samples, n_outputs),
    default "scalar"
        "scalar": class c of C (in sorted order) has the target 2c - (C - 1) of a single output, so
        -1 and 1, or -3, -1, 1, 3; "one-hot": one output per class. The network decides for the
        class whose (mean) target is nearest.
    loss : {"mse", "cross-entropy", "none"}, default "mse"
        "mse" is the mean over samples and outputs of (f - t)^2, "cross-entropy" the mean over
        samples; each over the rows of a step (all of them without `batch_size`). "cross-entropy"
        needs one-hot targets. "none", for "langevin" only, switches the gradient off.
    optimizer : {"sgd", "adam", "langevin"}, default "sgd"
        `torch.optim.SGD`, `torch.optim.Adam`, or noisy gradient descent with the prior's decay: see
        Notes.
    lr : float, default 1e-3
    momentum : float, default 0.0
        For "sgd" only.
    weight_decay : float, default 0.0
        Every trained parameter p decays, weights and biases of all layers: weight_decay p is added
        to its gradient (also for "adam", as torch does). Must be 0 for "langevin", where the prior
        decides the decay.
    temperature : float, optional
        T, the variance of the observation noise; required by "langevin", and by it alone.
    epochs : int, default 1000
        Passes over the data; without `batch_size` that is the number of steps.
    until : "zero-error", ("loss", value) or ("slope", value), optional
        Ends a repeat at the first probe where the accuracy is 1; where loss <= value; or where |d
        log10 NC1/d log10 epoch| of the last hidden layer's activations, over the probes of the last
        decade of epochs, is <= value.
    batch_size : int, optional
        Rows of a step, reshuffled every epoch. Default: all rows.
    repeats : int, default 1
        Number of trainings. The first starts from `network` as it is, each other one from a new
        draw of the same architecture.
    probe : "log" or list of int, default "log"
        Epochs at which to probe: 8 per decade, or those of the list; 0 and the last one always.
    convention : str, optional
        As in `nc1fast.collapse`.
    device : str, default "cpu"
        Any device of torch.
    dtype : {"float64", "float32"}, optional
        Default: that of the network.
    seed : int, default 0
        Seed of the further draws, of the batches and of the Langevin noise.
    progress : bool or callable(done, total), default False
        Counts epochs, over all repeats.
    checkpoint : path, optional
        A file written at every probe. If it exists, the run goes on from it, to the same trace (on
        the same machine).
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Returns
    -------
    Trace

    Raises
    ------
    TypeError, ValueError
        For arguments that are not allowed or do not fit together, named in the message, and for the
        checkpoint of another run.

    Notes
    -----
    A repeat whose loss becomes infinite, NaN or exceeds 1e50 ends there; `Trace.endings` says at
    which epoch, and the other repeats go on.

    "langevin" samples exp(-E/T) times the prior that the weights were drawn from, N(0, sw2/fan_in)
    (N(0, 1) for parametrization="ntk") and N(0, sb2) for biases, with E = (1/2) sum over samples
    and outputs of (f - t)^2, or the summed cross-entropy: no mean, so that T is a noise variance.
    That is the posterior whose saddle point the adaptive kernel describes. One step is `Langevin`:
    to first order in lr p <- p - lr (dE/dp + T p/s^2) + sqrt(2 lr T) xi, s^2 the prior variance of
    p.

    Cost: 6 N flops per weight and epoch; a probe is a forward pass (two beyond 2048 rows) and 6 N d
    (C + 1) flops a layer. Repeats run one after the other. Memory: N C numbers a layer, and
    fan_in^2 per layer and repeat for the weight covariances.
    """
    if not isinstance(network, ShallowNetwork):
        raise TypeError(f"network must be a ShallowNetwork, got {type(network).__name__}")
    settings = TrainingSettings(
        loss=loss,
        optimizer=optimizer,
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        temperature=temperature,
        epochs=epochs,
        repeats=repeats,
        until=until,
        batch_size=batch_size,
        probe=probe,
        convention=convention,
        seed=seed_of(rng, seed),
    )
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise ValueError(f"checkpoint must be a file in a folder that exists, got {str(path)!r}")
    network = copy.deepcopy(network).to(_as_device(device))
    if dtype is not None:
        network = network.to(as_dtype(dtype))
    data = TrainingData.of(network, X, y, targets)
    check_objective(settings, network, data.goal)
    with reporting(progress, "epochs") as report:
        return Run(network, data, settings, path, report).trace()


def _as_device(device: Any) -> Any:
    """A torch device, from its name or itself."""
    try:
        return torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device must be one that torch knows, got {shown(device)}") from error
