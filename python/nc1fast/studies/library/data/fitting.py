"""From the design of a study of data, and data, to a study: sizes, targets and learning rates that
suit these data.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import nc1fast as nc
from nc1fast.studies.fields import listed
from nc1fast.studies.sources import Instance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.studies.description import Arm, Study
    from nc1fast.studies.sources import Digits, File
    from nc1fast.studies.tasks.adaptive import Adaptive
    from nc1fast.studies.tasks.networks import Training

MOST_EXACT = 20_000  # rows of exact passes; kernels on more are estimated
TOLERANCE = 0.005  # of those estimates, relative
MOST_FEATURES = 256  # of adaptive kernels, whose equations have d0^2 unknowns
_MOST_CLASSES = 0.5  # per row: labels of more values are no classes
_LARGE = 100.0  # mean square of features
_SAFETY = 0.5  # of the learning rate at which gradient descent would no longer converge


@dataclass(frozen=True)
class _Part:
    """The rows that one arm draws, as far as its design depends on them: X (n_samples, n_features),
    and the classes.
    """

    source: File | Digits
    X: NDArray[np.float64]
    n_classes: int

    @property
    def targets(self) -> str:
        """Two classes have an order, more have none."""
        return "scalar" if self.n_classes == 2 else "one-hot"

    @property
    def n_outputs(self) -> int:
        """Outputs of a network that learns the targets."""
        return 1 if self.n_classes == 2 else self.n_classes


def fitted(study: Study, source: File | Digits, *, networks: bool = True) -> Study:
    """Put a data set in the place of those of a study.

    Parameters
    ----------
    study : Study
        Its arms with `n_samples` get that many rows, or all if there are fewer, drawn for each
        repeat; the others get all rows, with estimates in the place of exact passes beyond
        `MOST_EXACT` of them.
    source : File or Digits
    networks : bool, default True
        Whether networks are trained.

    Raises
    ------
    FileNotFoundError, ValueError
        As `nc1fast.datasets.load`; for labels that are no classes.

    Warns
    -----
    UserWarning
        For features of a mean square beyond 100.

    Notes
    -----
    More than two classes are learned one-hot. The learning rate of a network is half of N P/lambda
    for the largest eigenvalue lambda of its NTK on the N rows, with P outputs: gradient descent on
    the mean square diverges beyond N P/lambda while the kernel stays as it is. Adaptive kernels are
    left out beyond `MOST_FEATURES` features.
    """
    X, y = Instance(source, (), None, None).draw(study.seed)
    n_classes = len(np.unique(y))
    _check_classes(source.name, n_classes, len(X))
    _warn_of_scale(source.name, X)
    arms = []
    for arm in study.arms:
        size = max(listed(arm.data[0].n_samples or ()), default=None)
        rows = None if size is None else min(len(X), max(size, 2 * n_classes))
        of_arm = source.model_copy(update={"n_samples": rows})
        drawn = X if rows is None else Instance(of_arm, (), rows, None).draw(study.seed)[0]
        arms.append(_of_arm(arm, _Part(of_arm, drawn, n_classes), networks=networks))
    title = f"Neural collapse of {source.name}"
    return study.model_copy(update={"arms": tuple(arms), "title": title})


def _check_classes(name: str, n_classes: int, n_samples: int) -> None:
    """ValueError unless there are two classes or more, and fewer than half as many as rows."""
    if n_classes < 2:
        raise ValueError(f"{name}: all rows have the same label, two classes are needed")
    if n_classes > _MOST_CLASSES * n_samples:
        raise ValueError(
            f"{name}: {n_classes} different labels in {n_samples} rows are no classes; --labels "
            "names the column, array or file that holds the classes"
        )


def _warn_of_scale(name: str, X: NDArray[np.float64]) -> None:
    """UserWarning for features so large that the units of erf networks are at their limits."""
    square = float(np.mean(np.square(X)))
    if square > _LARGE:
        warnings.warn(
            f"{name}: the mean square of the features is {square:.2g}; erf saturates, and the "
            "largest features decide all: --scale standardize or unit-interval makes them "
            "comparable",
            UserWarning,
            stacklevel=4,
        )


def _of_arm(arm: Arm, part: _Part, *, networks: bool) -> Arm:
    """An arm on its part of the data."""
    sections: dict[str, Any] = dict(arm.model_extra or {})
    if "networks" in sections:
        kept = sections["networks"] if networks else ()
        sections["networks"] = tuple(one for entry in kept for one in _trained(entry, part))
    if "adaptive" in sections:
        kept = sections["adaptive"] if part.X.shape[1] <= MOST_FEATURES else ()
        sections["adaptive"] = tuple(_solved(entry, part) for entry in kept)
    many = part.source.n_samples is None and len(part.X) > MOST_EXACT
    shown = tuple(
        one.model_copy(update={"dataset": part.source.name})
        for one in (arm.illustrate if networks else ())
    )
    update = {
        "data": (part.source,),
        "tolerance": TOLERANCE if many else None,
        "illustrate": shown,
        **sections,
    }
    return arm.model_copy(update=update)


def _trained(entry: Training, part: _Part) -> list[Training]:
    """An entry for each activation, each with a learning rate of its own."""
    return [
        entry.model_copy(
            update={
                "activation": name,
                "targets": part.targets,
                "lr": _learning_rate(entry, name, part),
            }
        )
        for name in listed(entry.activation)
    ]


def _solved(entry: Adaptive, part: _Part) -> Adaptive:
    return entry.model_copy(update={"targets": part.targets})


def _learning_rate(entry: Training, activation: str, part: _Part) -> float:
    """Half of the largest stable learning rate at the start, rounded down to one digit."""
    network = nc.networks.ShallowNetwork(
        activation,
        part.X.shape[1],
        depth=entry.depth,
        width=entry.width,
        n_outputs=part.n_outputs,
        weight_variance=entry.weight_variance,
        bias_variance=entry.bias_variance,
        parametrization=entry.parametrization,
        train_bias=entry.train_bias,
    )
    largest = float(np.linalg.eigvalsh(network.ntk()(part.X))[-1])
    rate = _SAFETY * len(part.X) * part.n_outputs / largest
    digit = 10.0 ** math.floor(math.log10(rate))
    return float(f"{math.floor(rate / digit) * digit:.0e}")
