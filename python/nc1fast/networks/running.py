"""A training under way: its repeats, epochs and probes, and the state that a checkpoint keeps."""

from __future__ import annotations

import copy
import dataclasses
import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nc1fast.inputs.labelled import Classes
from nc1fast.inputs.targets import encode
from nc1fast.networks import checkpoint as checkpoints
from nc1fast.networks.objective import energy_of, loss_of, optimizer_of
from nc1fast.networks.probing.modules import placed
from nc1fast.networks.settings import stop_reason
from nc1fast.networks.trace import Trace, layer_results, layer_row, self_duality, to_columns
from nc1fast.support.warnings import AccuracyWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nc1fast.inputs.targets import Targets
    from nc1fast.networks.network import ShallowNetwork
    from nc1fast.networks.settings import TrainingSettings
    from nc1fast.networks.trace import LayerResult

_PROBE_ROWS = 2048  # of a forward pass
_DIVERGED = 1e50  # a loss above this counts as infinite: squares of features would overflow next


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Rows, classes and targets, checked and on the device of the network.

    Attributes
    ----------
    X : tensor of shape (n_samples, n_features)
    classes : Classes
    goal : Targets
    targets : tensor of shape (n_samples, n_outputs)
        The values of `goal`.
    of_row : int64 tensor of shape (n_samples,)
        The class of every row.
    """

    X: torch.Tensor
    classes: Classes
    goal: Targets
    targets: torch.Tensor
    of_row: torch.Tensor

    @classmethod
    def of(cls, network: ShallowNetwork, X: Any, y: Any, targets: Any) -> TrainingData:
        """Check X, y and targets against each other and against the network.

        Raises
        ------
        TypeError, ValueError
            As `placed`, `Classes.of` and `encode`.
        """
        rows = placed(network, X)
        classes = Classes.of(y, len(rows))
        goal = encode(targets, classes.of_row, len(classes), network.n_outputs)
        values = torch.from_numpy(goal.values).to(rows)
        of_row = torch.from_numpy(classes.of_row.astype(np.int64)).to(rows.device)
        return cls(rows, classes, goal, values, of_row)

    def batches(self, size: int | None, shuffles: Any) -> Iterator[tuple[Any, Any, Any]]:
        """(X, targets, of_row) of batches of `size` rows in an order drawn from `shuffles`; None:
        all rows as they are.
        """
        if size is None:
            yield self.X, self.targets, self.of_row
            return
        order = torch.randperm(len(self.X), generator=shuffles).to(self.X.device)
        for rows in order.split(size):
            yield self.X[rows], self.targets[rows], self.of_row[rows]


@dataclass(eq=False)
class Repeat:
    """One repeat under way.

    Attributes
    ----------
    index : int
    network : ShallowNetwork
    optimizer : torch.optim.Optimizer
    shuffles, noise : torch.Generator
        What the batches and the Langevin noise are drawn from.
    start : dict of str to tensor
        Weight covariances before training.
    epoch : int
        Epochs completed.
    ending : str
        Why the repeat has ended; "" while it goes on.
    rows : list of dict
        The table so far.
    """

    index: int
    network: ShallowNetwork
    optimizer: Any
    shuffles: Any
    noise: Any
    start: dict[str, Any]
    epoch: int = 0
    ending: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)


@dataclass(eq=False)
class Run:
    """A training: all its repeats, from a checkpoint on where there is one.

    Attributes
    ----------
    network : ShallowNetwork
    data : TrainingData
    settings : TrainingSettings
    path : Path or None
        Of the checkpoint.
    report : callable(done, total) or None
        Called after every epoch.
    finished : list of dict
        Repeats that have ended, as a checkpoint keeps them.
    identity : str
        Hash of all that decides the run; "" without a checkpoint.
    """

    network: ShallowNetwork
    data: TrainingData
    settings: TrainingSettings
    path: Path | None
    report: Callable[[int, int], object] | None
    finished: list[dict[str, Any]] = field(default_factory=list)
    identity: str = ""

    def trace(self) -> Trace:
        """Train every repeat and return the trace."""
        under_way = None
        if self.path is not None:
            self.identity = self._fingerprint()
            state = checkpoints.load(self.path, self.identity)
            if state is not None:
                self.finished, under_way = state["finished"], state["under_way"]
        for index in range(len(self.finished), self.settings.repeats):
            repeat = self._begin(index)
            if under_way is not None:
                self._restore(repeat, under_way)
                under_way = None
            self._advance(repeat)
            if repeat.epoch < self.settings.epochs:  # it ended early
                self._report(repeat, self.settings.epochs)
            self.finished.append(
                {
                    "rows": repeat.rows,
                    "epoch": repeat.epoch,
                    "ending": repeat.ending,
                    "covariances": {"start": repeat.start, "end": _covariances(repeat.network)},
                    "network": {k: v.cpu() for k, v in repeat.network.state_dict().items()},
                }
            )
            self._save(None)
        return self._collect()

    def _report(self, repeat: Repeat, epoch: int) -> None:
        """Report that a repeat has reached an epoch."""
        epochs = self.settings.epochs
        if self.report is not None:
            self.report(repeat.index * epochs + epoch, self.settings.repeats * epochs)

    def _fingerprint(self) -> str:
        """Hash of all that decides the run."""
        start, data = self.network.state_dict(), self.data
        decisive = dataclasses.asdict(self.settings)
        decisive |= {"network": repr(self.network), "labels": data.classes.labels.tolist()}
        decisive["trained"] = [(n, p.requires_grad) for n, p in self.network.named_parameters()]
        decisive |= {"state": list(start), "device": data.X.device.type}
        return checkpoints.fingerprint(decisive, data.X, data.targets, data.of_row, *start.values())

    def _begin(self, index: int) -> Repeat:
        """A repeat before its first epoch, with random streams of its own."""
        words = np.random.SeedSequence([self.settings.seed, index]).generate_state(3, np.uint64)
        draw, shuffle, noise = (int(word >> np.uint64(1)) for word in words)
        network = copy.deepcopy(self.network) if index == 0 else self.network.redrawn(draw)
        generator = torch.Generator(self.data.X.device).manual_seed(noise)
        return Repeat(
            index,
            network,
            optimizer_of(self.settings, network, generator),
            torch.Generator().manual_seed(shuffle),
            generator,
            _covariances(network),
        )

    def _advance(self, repeat: Repeat) -> None:
        """Train a repeat from its epoch to its end."""
        if repeat.epoch == 0 and not repeat.rows:
            self._probe(repeat)
        repeat.network.train()
        while not repeat.ending and repeat.epoch < self.settings.epochs:
            value = self._epoch(repeat)
            repeat.epoch += 1
            if value is not None and not value <= _DIVERGED:
                repeat.ending = f"diverged in epoch {repeat.epoch}: loss {value:g}"
            elif repeat.epoch in self.settings.probe:
                self._probe(repeat)
            self._report(repeat, repeat.epoch)
        repeat.ending = repeat.ending or "epochs"
        repeat.network.eval()

    def _epoch(self, repeat: Repeat) -> float | None:
        """One pass over the data; the largest loss of its steps before they are taken (NaN if one
        is), None for "none".
        """
        s, network, optimizer = self.settings, repeat.network, repeat.optimizer
        if s.loss == "none":
            optimizer.step()
            return None
        objective = energy_of if s.optimizer == "langevin" else loss_of
        worst = 0.0
        for rows, targets, of_row in self.data.batches(s.batch_size, repeat.shuffles):
            optimizer.zero_grad(set_to_none=True)
            value = objective(s.loss, network(rows), targets, of_row)
            value.backward()
            optimizer.step()
            number = value.item()
            worst = number if not number <= worst else worst
        return worst

    def _probe(self, repeat: Repeat) -> None:
        """Add a row per layer, decide whether the repeat has ended, and save it."""
        network, data = repeat.network, self.data
        try:
            outputs, results = self._measured(network)
        except ValueError as error:  # of the loss, or NaN or Inf in a layer: all else was checked
            repeat.ending = f"diverged by epoch {repeat.epoch}: {error}"
            return
        decisions = data.goal.decisions(outputs.cpu().double().numpy())
        of_network = {
            "repeat": repeat.index,
            "epoch": repeat.epoch,
            "loss": self._loss(outputs),
            "accuracy": float((decisions == data.classes.of_row).mean()),
        }
        last = network.layers[-2]
        readout = network.weight_layers()["output"].effective_weight().cpu().double().numpy()
        for name, result in results.items():
            nc3, reason = math.nan, f"only of {last}, the input of the readout"
            if name == last:
                nc3, reason = self_duality(result, readout, data.goal)
            of_layer = {"layer": name, "kind": name.rstrip("0123456789")}
            of_layer |= layer_row(result, decisions)
            repeat.rows.append(of_network | of_layer | {"nc3": nc3, "nc3_reason": reason})
        repeat.ending = ""
        if repeat.epoch:
            repeat.ending = stop_reason(self.settings.until, repeat.rows, last)
        self._save(repeat)

    def _measured(self, network: ShallowNetwork) -> tuple[torch.Tensor, dict[str, LayerResult]]:
        """The outputs (N, P) of a network and the measurements of its layers.

        Raises
        ------
        ValueError
            For a loss that has diverged, and for NaN or Inf in a layer.
        """
        passed, data = [], self.data

        def watch(rows: slice, outputs: torch.Tensor) -> None:
            passed.append(outputs)
            loss = self._loss(outputs, rows)
            if loss > _DIVERGED or (math.isnan(loss) and self.settings.loss != "none"):
                raise ValueError(f"loss {loss:g}")

        with warnings.catch_warnings():  # the table has the error bounds
            warnings.simplefilter("ignore", AccuracyWarning)
            results = layer_results(
                network, data.X, data.classes, _PROBE_ROWS, self.settings.convention, watch
            )
        return torch.cat(passed), results

    def _loss(self, outputs: torch.Tensor, rows: slice = slice(None)) -> float:
        """The mean loss of the outputs of some rows; NaN for "none"."""
        loss, data = self.settings.loss, self.data
        if loss == "none":
            return math.nan
        return float(loss_of(loss, outputs, data.targets[rows], data.of_row[rows]))

    def _save(self, repeat: Repeat | None) -> None:
        """Write the checkpoint, if there is one: the finished repeats, and the one under way or
        None.
        """
        if self.path is None:
            return
        state = None
        if repeat is not None:
            state = {
                "epoch": repeat.epoch,
                "ending": repeat.ending,
                "rows": repeat.rows,
                "start": repeat.start,
                "network": repeat.network.state_dict(),
                "optimizer": repeat.optimizer.state_dict(),
                "shuffles": repeat.shuffles.get_state(),
                "noise": repeat.noise.get_state(),
            }
        checkpoints.save(self.path, self.identity, {"finished": self.finished, "under_way": state})

    def _restore(self, repeat: Repeat, state: dict[str, Any]) -> None:
        """Put a repeat where the checkpoint left it."""
        repeat.epoch, repeat.ending = state["epoch"], state["ending"]
        repeat.rows, repeat.start = state["rows"], state["start"]
        repeat.network.load_state_dict(state["network"])
        repeat.optimizer.load_state_dict(state["optimizer"])
        repeat.shuffles.set_state(state["shuffles"])
        repeat.noise.set_state(state["noise"])

    def _collect(self) -> Trace:
        """The trace of the finished repeats."""
        rows = [row for repeat in self.finished for row in repeat["rows"]]
        networks = []
        for repeat in self.finished:
            network = copy.deepcopy(self.network).eval()
            network.load_state_dict(repeat["network"])
            networks.append(network)
        covariances = [
            {
                name: {when: found[name].numpy() for when, found in repeat["covariances"].items()}
                for name in self.network.weight_layers()
            }
            for repeat in self.finished
        ]
        return Trace(
            table=to_columns(rows),
            endings=[repeat["ending"] for repeat in self.finished],
            epochs=[repeat["epoch"] for repeat in self.finished],
            weight_covariances=covariances,
            networks=networks,
        )


def _covariances(network: ShallowNetwork) -> dict[str, Any]:
    """W^T W / n_out (fan_in, fan_in) of the hidden layers, W W^T / fan_in (n_out, n_out) of the
    output; float64.
    """
    found = {}
    for name, layer in network.weight_layers().items():
        W = layer.effective_weight().cpu().double()
        found[name] = W @ W.T / W.shape[1] if name == "output" else W.T @ W / len(W)
    return found
