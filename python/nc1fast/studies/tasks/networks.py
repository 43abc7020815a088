"""Trained networks of an arm: their features, their own NTK and their empirical NTK, before and
after training.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

import nc1fast as nc
from nc1fast.core.activations import as_activation, traits
from nc1fast.studies.fields import Count, Number, Positive, Variance, joined, listed
from nc1fast.studies.tasks.rows import MEASURED, ModelColumns, attempt, measured, series, sigma
from nc1fast.studies.tasks.task import DrawnData, ModelTask, Outcome, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.networks import Trace
    from nc1fast.studies.tidy import Row

_STATES = ("start", "end")
# Fields of `Training` that are arguments of `ShallowNetwork`, and of `train`
_VARIANCES = {"weight_variance", "bias_variance"}
_OF_NETWORK = {"depth", "width", "parametrization", "train_bias", *_VARIANCES}
_OF_TRAINING = {"targets", "loss", "optimizer", "lr", "momentum", "weight_decay", "temperature"}
_OF_TRAINING |= {"epochs", "until", "probe"}


class Training(Section):
    """Networks and their training, one for each activation: arguments of `ShallowNetwork` and
    `train`.
    """

    activation: str | tuple[str, ...]
    depth: Annotated[int, Field(strict=True, ge=2)] = 2
    width: Count = 500
    weight_variance: Variance | tuple[Variance, ...] = 1.0
    bias_variance: Variance | tuple[Variance, ...] = 0.0
    parametrization: Literal["standard", "ntk"] = "standard"
    train_bias: bool | None = None
    targets: Literal["scalar", "one-hot"] = "scalar"
    loss: Literal["mse", "cross-entropy"] = "mse"
    optimizer: Literal["sgd", "adam", "langevin"] = "sgd"
    lr: Positive = 1e-3
    momentum: Annotated[Number, Field(ge=0)] = 0.0
    weight_decay: Variance = 0.0
    temperature: Positive | None = None
    epochs: Count = 1000
    until: Literal["zero-error"] | tuple[Literal["loss", "slope"], Positive] | None = None
    probe: Literal["log"] | tuple[Annotated[int, Field(strict=True, ge=0)], ...] = "log"
    tangent: bool = True  # measure the NTKs, too

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        for activation in listed(self.activation):
            nc.NNGP(activation, self.depth, self.weight_variance, self.bias_variance)
        if (self.optimizer == "langevin") != (self.temperature is not None):
            raise ValueError("temperature belongs to optimizer langevin, which needs it")
        if self.optimizer == "langevin" and self.weight_decay:
            raise ValueError("weight_decay must be 0 for langevin, where the prior decides it")
        if self.momentum and self.optimizer != "sgd":
            raise ValueError("momentum belongs to optimizer sgd")
        if self.probe != "log" and max(self.probe, default=0) > self.epochs:
            raise ValueError(f"probe must lie within the {self.epochs} epochs")
        if self.loss == "cross-entropy" and self.targets != "one-hot":
            raise ValueError("loss cross-entropy needs targets one-hot")
        return self

    def named(self, activation: str) -> ModelColumns:
        """The columns that name the network of an activation."""
        return ModelColumns(
            "network",
            activation,
            self.depth,
            weight_variance=joined(self.weight_variance),
            bias_variance=joined(self.bias_variance),
            parametrization=self.parametrization,
            width=self.width,
            noise=math.nan if self.temperature is None else self.temperature,
        )

    def tasks(self) -> Iterator[NetworkTask]:
        """One network for each activation."""
        return (NetworkTask(self, activation) for activation in listed(self.activation))


@dataclass(frozen=True)
class NetworkTask(ModelTask):
    """One network, trained: 5 NC1s per convention, 2 without the NTKs."""

    entry: Training

    libraries = ("torch",)
    chance = True

    def n_rows(self, conventions: Sequence[str]) -> int:
        """Per convention: features and empirical NTK at both ends, and the network's own NTK."""
        return (5 if self.entry.tangent else 2) * len(conventions)

    def seconds(self, n_samples: int, n_features: int) -> float:
        """Estimate: all epochs, even where training ends earlier."""
        t = self.entry
        smooth = traits(as_activation(self.activation)).halves is None  # more than a comparison
        unit = 4e-9 + 9e-9 * smooth + 1e-10 * (n_features + (t.depth - 2) * t.width)
        noise = 8e-9 * t.width * n_features if t.optimizer == "langevin" else 0.0
        epoch = 2.5e-4 + n_samples * t.width * (t.depth - 1) * unit + noise
        return t.epochs * epoch + (2e-7 * n_samples**2 if t.tangent else 0.0)

    def compute(self, data: DrawnData) -> Outcome:
        """Draw a network, train it, and measure it at the start and at the end."""
        network = self._network(data)
        trace, seconds = attempt(self._train, data, network)
        trained = trace if isinstance(trace, str) else trace.networks[0]
        if not isinstance(trace, str) and trace.endings[0].startswith("diverged"):
            trained = trace.endings[0]
        rows: list[Row] = []
        for state, module in zip(_STATES, (network, trained), strict=True):
            answer, took = _features(data, module, f"post{self.entry.depth - 1}")
            if state == "end":
                took += seconds
            rows += measured(self.named, answer, data.conventions, took, state=state)
        if self.entry.tangent:
            rows += self._tangents(data, network, trained)
        return Outcome(rows, [] if isinstance(trace, str) else self._series(data, trace))

    def _network(self, data: DrawnData) -> Any:
        """A network whose seed derives from the data set's: all activations start from the same
        weights.
        """
        t = self.entry
        words = np.random.SeedSequence((data.seed, zlib.crc32(b"network")))
        return nc.networks.ShallowNetwork(
            self.activation,
            data.X.shape[1],
            n_outputs=1 if t.targets == "scalar" else len(np.unique(data.y)),
            **t.model_dump(include=_OF_NETWORK),
            seed=int(words.generate_state(1)[0]),
        )

    def _train(self, data: DrawnData, network: Any) -> Trace:
        return nc.networks.train(
            network,
            data.X,
            data.y,
            **self.entry.model_dump(include=_OF_TRAINING),
            convention=data.conventions[0],
            seed=data.seed,
        )

    def _tangents(self, data: DrawnData, network: Any, trained: Any) -> list[Row]:
        """Rows of the NTK that belongs to this very network, and of its empirical NTK at the start
        and the end.
        """
        try:
            kernel = network.ntk()
        except ValueError as error:  # the activation has none
            answer, seconds = str(error), 0.0
        else:
            answer, seconds = data.collapse(kernel)
        named = dataclasses.replace(self.named, model="NTK", noise=math.nan)
        rows = measured(named, answer, data.conventions, seconds)
        named = dataclasses.replace(self.named, model="empirical NTK")
        for state, module in zip(_STATES, (network, trained), strict=True):
            answer, seconds = module, 0.0
            if not isinstance(module, str):
                empirical = functools.partial(nc.networks.empirical_ntk, module)
                answer, seconds = data.collapse(empirical, dtype="float64")
            rows += measured(named, answer, data.conventions, seconds, state=state)
        return rows

    def _series(self, data: DrawnData, trace: Trace) -> list[Row]:
        rows: list[Row] = []
        if data.shows("training", self.activation):
            t = trace.table
            for layer in dict.fromkeys(t["layer"].tolist()):
                probed = _points(t["epoch"], t["nc1"], t["layer"] == layer)
                rows += series(self.named, "nc1", probed, layer=layer)
            for quantity in ("loss", "accuracy"):
                probed = _points(t["epoch"], t[quantity], t["layer"] == "output")
                rows += series(self.named, quantity, probed)
        if data.shows("sigma", self.activation):
            for state in _STATES:
                rows += sigma(self.named, trace.weight_covariances[0]["pre1"][state], state)
        return rows


def _points(x: Any, values: Any, keep: Any) -> list[tuple[float, float, float]]:
    """Points (x, 0, value) of the probes for which the mask `keep` is true."""
    return [(a, 0.0, b) for a, b in zip(x[keep], values[keep], strict=True)]


def _features(data: DrawnData, module: Any, layer: str) -> tuple[Any, float]:
    """Collapse of a layer's features and the seconds it took; a reason in place of a network is
    passed on.
    """
    if isinstance(module, str):
        return module, 0.0
    probed, seconds = attempt(nc.networks.probe, module, data.X, data.y, [layer], **MEASURED)
    return probed if isinstance(probed, str) else probed[layer], seconds
