"""A training under way: repeats, epochs, probes, and the state that a checkpoint keeps."""

from __future__ import annotations

import copy
import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.metrics.result import weights
from nc1fast.networks import checkpoint as checkpoints
from nc1fast.networks.objective import Descent, energy_of, loss_of
from nc1fast.networks.probing import layer_results
from nc1fast.networks.trace import (
    DIVERGED,
    Trace,
    duality,
    layer_row,
    stop_reason,
    to_columns,
)
from nc1fast.support.extras import require
from nc1fast.support.warnings import AccuracyWarning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from nc1fast.inputs.targets import Targets
    from nc1fast.networks.network import ShallowNetwork
else:
    torch = require("torch", "torch")

_PROBE_ROWS = 2048


@dataclass(eq=False)
class Repeat:
    """One repeat under way."""

    index: int
    network: ShallowNetwork
    optimizer: Any
    shuffles: Any  # generator of the batches
    noise: Any  # generator of the Langevin noise
    start: dict[str, Any]  # weight covariances
    epoch: int = 0
    ending: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)


@dataclass(eq=False)
class Run:
    """A checked training."""

    network: ShallowNetwork
    X: torch.Tensor
    classes: NDArray[np.int32]
    labels: NDArray[Any]
    goal: Targets
    targets: torch.Tensor
    classes_there: torch.Tensor
    loss: str
    descent: Descent
    epochs: int
    rule: tuple[str, float] | None
    batch_size: int | None
    repeats: int
    probes: list[int]
    convention: str | None
    seed: int
    path: Path | None
    report: Callable[[int, int], object] | None
    finished: list[dict[str, Any]] = field(default_factory=list)
    identity: str = ""  # hash of all that decides the run, where there is a checkpoint

    def trace(self) -> Trace:
        """Run every repeat, from the checkpoint on where there is one."""
        under_way = None
        if self.path is not None:
            self.identity = self._fingerprint()
            state = checkpoints.load(self.path, self.identity)
            if state is not None:
                self.finished, under_way = state["finished"], state["under_way"]
        for index in range(len(self.finished), self.repeats):
            repeat = self._begin(index)
            if under_way is not None:
                self._restore(repeat, under_way)
                under_way = None
            self._advance(repeat)
            if self.report is not None and repeat.epoch < self.epochs:  # it ended early
                self.report((index + 1) * self.epochs, self.repeats * self.epochs)
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

    def _fingerprint(self) -> str:
        names = ("descent", "loss", "epochs", "rule", "batch_size", "repeats", "probes", "seed")
        settings = {name: getattr(self, name) for name in (*names, "convention")}
        settings |= {"network": repr(self.network), "labels": self.labels.tolist()}
        settings["trained"] = [(n, p.requires_grad) for n, p in self.network.named_parameters()]
        start = self.network.state_dict()
        settings |= {"state": list(start), "device": self.X.device.type}
        return checkpoints.fingerprint(
            settings, self.X, self.targets, self.classes_there, *start.values()
        )

    def _begin(self, index: int) -> Repeat:
        words = np.random.SeedSequence([self.seed, index]).generate_state(3, np.uint64)
        draw, shuffle, noise = (int(word >> np.uint64(1)) for word in words)
        network = copy.deepcopy(self.network) if index == 0 else self.network.redrawn(draw)
        generator = torch.Generator(self.X.device).manual_seed(noise)
        return Repeat(
            index,
            network,
            self.descent.build(network, generator),
            torch.Generator().manual_seed(shuffle),
            generator,
            _covariances(network),
        )

    def _advance(self, repeat: Repeat) -> None:
        """From the epoch of the repeat to its end."""
        if repeat.epoch == 0 and not repeat.rows:
            self._probe(repeat)
        repeat.network.train()
        while not repeat.ending and repeat.epoch < self.epochs:
            value = self._epoch(repeat)
            repeat.epoch += 1
            if value is not None and not value <= DIVERGED:
                repeat.ending = f"diverged in epoch {repeat.epoch}: loss {value:g}"
            elif repeat.epoch in self.probes:
                self._probe(repeat)
            if self.report is not None:
                self.report(repeat.index * self.epochs + repeat.epoch, self.repeats * self.epochs)
        repeat.ending = repeat.ending or "epochs"
        repeat.network.eval()

    def _epoch(self, repeat: Repeat) -> float | None:
        """One pass over the data; the largest loss of its steps (NaN if one is), before they are taken."""
        network, optimizer = repeat.network, repeat.optimizer
        if self.loss == "none":
            optimizer.step()
            return None
        langevin = self.descent.optimizer == "langevin"
        objective = energy_of if langevin else loss_of
        worst = 0.0
        batches: Any = [(self.X, self.targets, self.classes_there)]
        if self.batch_size is not None:
            order = torch.randperm(len(self.X), generator=repeat.shuffles).to(self.X.device)
            batches = (
                (self.X[batch], self.targets[batch], self.classes_there[batch])
                for batch in order.split(self.batch_size)
            )
        for rows, targets, classes in batches:
            optimizer.zero_grad(set_to_none=True)
            value = objective(self.loss, network(rows), targets, classes)
            value.backward()
            optimizer.step()
            number = value.item()
            worst = number if not number <= worst else worst
        return worst

    def _probe(self, repeat: Repeat) -> None:
        """Add a row per layer, then see whether the repeat has ended, then save."""
        network, passed = repeat.network, []

        def watch(rows: slice, outputs: torch.Tensor) -> None:
            passed.append(outputs)
            loss = self._loss(outputs, rows)
            if loss > DIVERGED or (math.isnan(loss) and self.loss != "none"):
                raise ValueError(f"loss {loss:g}")

        try:
            with warnings.catch_warnings():  # the table has the error bounds
                warnings.simplefilter("ignore", AccuracyWarning)
                results = layer_results(
                    network,
                    self.X,
                    self.classes,
                    self.labels,
                    batch_size=_PROBE_ROWS,
                    convention=self.convention,
                    watch=watch,
                )
        except ValueError as error:  # of the loss, or NaN or Inf in a layer: all else was checked
            repeat.ending = f"diverged by epoch {repeat.epoch}: {error}"
            return
        outputs = torch.cat(passed)
        loss, decisions = self._loss(outputs), self.goal.decisions(outputs.cpu().double().numpy())
        shared = {"repeat": repeat.index, "epoch": repeat.epoch}
        figures = {"loss": loss, "accuracy": float((decisions == self.classes).mean())}
        last = network.layers[-2]
        readout = network.weight_layers()["output"].effective_weight().cpu().double().numpy()
        sizes = np.bincount(self.classes).astype(np.int64)
        g = weights(self.convention or "papyan", sizes).mean
        for name, result in results.items():
            dual = duality(name, last, readout, result.means, g, self.goal)
            row = layer_row(result.collapse, result.error, dual, decisions)
            kind = name.rstrip("0123456789")
            repeat.rows.append(shared | {"layer": name, "kind": kind} | figures | row)
        repeat.ending = stop_reason(self.rule, repeat.rows, last) if repeat.epoch else ""
        self._save(repeat)

    def _loss(self, outputs: torch.Tensor, rows: slice = slice(None)) -> float:
        """The mean loss of some rows; NaN for "none"."""
        if self.loss == "none":
            return math.nan
        value = loss_of(self.loss, outputs, self.targets[rows], self.classes_there[rows])
        return float(value)

    def _save(self, repeat: Repeat | None) -> None:
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
        repeat.epoch, repeat.ending = state["epoch"], state["ending"]
        repeat.rows, repeat.start = state["rows"], state["start"]
        repeat.network.load_state_dict(state["network"])
        repeat.optimizer.load_state_dict(state["optimizer"])
        repeat.shuffles.set_state(state["shuffles"])
        repeat.noise.set_state(state["noise"])

    def _collect(self) -> Trace:
        rows = [row for repeat in self.finished for row in repeat["rows"]]
        networks = []
        for repeat in self.finished:
            network = copy.deepcopy(self.network).eval()
            network.load_state_dict(repeat["network"])
            networks.append(network)
        covariances = [
            {
                name: {when: repeat["covariances"][when][name].numpy() for when in ("start", "end")}
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
    """W^T W / n_out (fan_in, fan_in) of the hidden layers, W W^T / fan_in (n_out, n_out) of the output; float64."""
    found = {}
    for name, layer in network.weight_layers().items():
        W = layer.effective_weight().cpu().double()
        found[name] = W @ W.T / W.shape[1] if name == "output" else W.T @ W / len(W)
    return found
