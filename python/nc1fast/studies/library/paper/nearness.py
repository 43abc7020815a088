"""Trained networks beside kernels on the same data: distances in log NC1, which kernel is nearest,
and trends in d0.

A distance is |log NC1(kernel) - log NC1(network at the end)| of one network. A cell is a data set
(name, N, d0); its distance is the mean over the repeats. All intervals are Student's over the
repeats, which are independent.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from nc1fast.studies.findings.rules import Interval, mean_interval
from nc1fast.studies.summary import DATA, equal_classes, grouped_by, key, select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nc1fast.studies.tidy import Row

    Value: TypeAlias = Callable[["TrainedNetwork"], float]

START, END = "network at the start", "network at the end"
NNGP, NTK, OWN = "NNGP", "NTK", "NTK of the network"
PUBLISHED, MATCHED = "adaptive (published prior)", "adaptive (matched prior)"
MEAN_FIELD = "mean field"
FIXED = (NNGP, NTK, OWN)  # kernels without labels and training
ADAPTIVE = (PUBLISHED, MATCHED, MEAN_FIELD)
KERNELS = (*FIXED, *ADAPTIVE)
# Prior and noise of the adaptive kernel in the released code.
_PUBLISHED_PRIOR = {"weight_variance": "1:0.0078125", "noise": 1e-6}
ROUNDING = 1e-9  # logarithms closer than this are equal: error bounds of NC1 are below it
# Columns in which all networks of one comparison agree.
_KIND = (
    "arm",
    "activation",
    "depth",
    "weight_variance",
    "bias_variance",
    "parametrization",
    "width",
    "convention",
)
_DATA_SET = (*DATA[1:], "repeat", "seed")  # the draw, whatever the arm


@dataclass(frozen=True)
class TrainedNetwork:
    """One trained network, the kernels on its data, and log NC1 of each.

    Attributes
    ----------
    dataset : str
    n_classes, N, d0, repeat, width : int
    logs : mapping of str to float
        By the names `START`, `END` and those of `KERNELS`; without those of which there is no
        positive, finite NC1.
    priors : mapping of str to str
        Noise and variances of the kernels of `ADAPTIVE`, in words.
    """

    dataset: str
    n_classes: int
    N: int
    d0: int
    repeat: int
    width: int
    logs: Mapping[str, float]
    priors: Mapping[str, str]

    @property
    def cell(self) -> tuple[str, int, int]:
        """Name, N and d0 of the data."""
        return self.dataset, self.N, self.d0

    def distance(self, kernel: str) -> float:
        """|log NC1(kernel)/NC1(network at the end)|."""
        return abs(self.logs[kernel] - self.logs[END])


@dataclass(frozen=True)
class Nearest:
    """The nearest of some kernels.

    Attributes
    ----------
    best : str
        The one of least mean distance; of equal ones the first.
    ties : tuple of str
        It, and those not significantly farther. With a single repeat there is no interval, and it
        stands alone.
    clear : bool
        Whether all others are significantly farther.
    """

    best: str
    ties: tuple[str, ...]
    clear: bool


def kinds(rows: Sequence[Row], *, balanced: bool = True) -> list[tuple[str, int]]:
    """Pairs (activation, depth) of the trained networks, with `balanced` on classes of equal size,
    in the order of the table.
    """
    return list(dict.fromkeys((row["activation"], row["depth"]) for row in _ends(rows, balanced)))


def trained(
    rows: Sequence[Row], activation: str, depth: int, *, balanced: bool = True
) -> list[TrainedNetwork]:
    """The trained networks of an activation and a depth, with the kernels on the same draw of the
    data.

    They are those of one arm, prior and width, that of the first such row. Networks trained with
    noise are left out: theirs is another prior.
    """
    ends = select(_ends(rows, balanced), activation=activation, depth=depth)
    if not ends:
        return []
    first = ends[0]
    ends = select(ends, lambda row: key(row, _KIND) == key(first, _KIND))
    shared = {name: first[name] for name in ("activation", "depth", "convention")}
    alike = select(rows, **shared)
    found = {name: _by_draw(alike, columns) for name, columns in _models(first)}
    return [_beside(row, found) for row in ends if found[END].get(key(row, _DATA_SET)) is row]


def having(networks: Sequence[TrainedNetwork], names: Sequence[str]) -> list[TrainedNetwork]:
    """Those that have log NC1 of all the names."""
    return [network for network in networks if all(name in network.logs for name in names)]


def present(networks: Sequence[TrainedNetwork]) -> tuple[str, ...]:
    """The kernels that at least one network has beside it, in the order of `KERNELS`."""
    return tuple(name for name in KERNELS if having(networks, [name]))


def compared(networks: Sequence[TrainedNetwork], names: Sequence[str]) -> list[tuple[str, ...]]:
    """The sets of kernels, of those named, that cells have; the set of the most cells first, of
    equals the largest.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for _, members in grouped_by(networks, lambda network: network.cell):
        sets = (tuple(name for name in names if name in network.logs) for network in members)
        counts[max(sets, key=len)] += 1
    return sorted(filter(None, counts), key=lambda found: (-counts[found], -len(found)))


def pooled(networks: Sequence[TrainedNetwork], value: Value) -> Interval:
    """Mean of a value over cells and repeats, with the interval over the repeats that all the cells
    have.
    """
    n_cells = len({network.cell for network in networks})
    repeats = grouped_by(networks, lambda network: network.repeat)
    return mean_interval(statistics.fmean(map(value, m)) for _, m in repeats if len(m) == n_cells)


def distance(networks: Sequence[TrainedNetwork], kernel: str) -> Interval:
    """Mean distance of a kernel from networks that have it; its interval ends at zero."""
    return _not_negative(pooled(networks, lambda network: network.distance(kernel)))


def floor(networks: Sequence[TrainedNetwork]) -> Interval:
    """Mean |log NC1| of the networks at their start over the NNGP: the scatter of finite width,
    before any training.
    """
    both = having(networks, [START, NNGP])
    return _not_negative(
        pooled(both, lambda network: abs(network.logs[START] - network.logs[NNGP]))
    )


def nearest(networks: Sequence[TrainedNetwork], kernels: Sequence[str]) -> Nearest | None:
    """The kernel of least mean distance, and those not significantly farther; None if the cells
    share no repeat.

    Significantly farther: the interval of the difference of its distance and the least one,
    network by network, lies above zero.
    """
    means = {kernel: distance(networks, kernel).middle for kernel in kernels}
    least = min(means.values(), default=math.nan)
    if math.isnan(least):
        return None
    best = next(kernel for kernel, mean in means.items() if mean <= least + ROUNDING)
    gaps = {kernel: _gap(networks, kernel, best) for kernel in kernels if kernel != best}
    ties = [kernel for kernel, gap in gaps.items() if gap.low <= ROUNDING]
    clear = all(gap.low > ROUNDING for gap in gaps.values())  # neither is true of NaN
    return Nearest(best, (best, *ties), clear)


def explained(networks: Sequence[TrainedNetwork], kernel: str) -> float:
    """Share of the variance of log NC1 of the networks over the cells that a kernel explains, with
    nothing fitted.

    It is 1 - sum (k - t)^2 / sum (t - mean t)^2, k and t the mean log NC1 of the kernel and of the
    networks in a cell: negative if the kernel is worse than the mean of the networks. NaN for fewer
    than three cells.
    """
    both = having(networks, [kernel])
    ends, logs = (
        _cell_means(both, lambda n: n.logs[END]),
        _cell_means(both, lambda n: n.logs[kernel]),
    )
    if len(ends) < 3:
        return math.nan
    middle = statistics.fmean(ends)
    return _share(logs, ends, [middle] * len(ends))


def explained_change(networks: Sequence[TrainedNetwork], kernel: str) -> float:
    """Share of the squared change by training, log NC1(end)/NC1(start), that a kernel's change from
    the NNGP explains.

    It is 1 - sum (k - t)^2 / sum t^2 over the cells, k and t the mean changes of the kernel and of
    the networks; the NNGP, which has no change, explains nothing.
    """
    both = having(networks, [kernel, START, NNGP])
    changes = _cell_means(both, lambda n: n.logs[END] - n.logs[START])
    return _share(
        _cell_means(both, lambda n: n.logs[kernel] - n.logs[NNGP]), changes, [0.0] * len(changes)
    )


def slopes(networks: Sequence[TrainedNetwork], upper: str, lower: str) -> list[tuple[int, float]]:
    """Pairs (repeat, slope): least squares of log NC1(upper)/NC1(lower) against log d0, for each N
    and repeat of a data set.

    Only those with three values of d0 or more.
    """
    curves = grouped_by(having(networks, [upper, lower]), lambda network: network.N)
    out = []
    for _, members in curves:
        for repeat, curve in grouped_by(members, lambda network: network.repeat):
            points = [(math.log(n.d0), n.logs[upper] - n.logs[lower]) for n in curve]
            if len({x for x, _ in points}) >= 3:
                out.append((repeat, statistics.linear_regression(*zip(*points, strict=True)).slope))
    return out


def mean_slope(curves: Sequence[tuple[int, float]]) -> Interval:
    """Mean of slopes with its interval over the repeats that all N have."""
    repeats = [[slope for _, slope in m] for _, m in grouped_by(curves, lambda curve: curve[0])]
    most = max(map(len, repeats), default=0)
    return mean_interval(statistics.fmean(m) for m in repeats if len(m) == most)


def _ends(rows: Sequence[Row], balanced: bool) -> list[Row]:
    """Networks after training without Langevin noise, with `balanced` on classes of equal size."""
    quiet = select(rows, lambda row: math.isnan(row["noise"]), model="network", state="end")
    return select(quiet, equal_classes) if balanced else quiet


def _models(network: Row) -> Iterator[tuple[str, Row]]:
    """The columns that name each model beside a network, adaptive ones of any arm."""
    its_own = {name: network[name] for name in _KIND}
    matched = {"state": "", "weight_variance": network["weight_variance"]}
    for state, name in (("start", START), ("end", END)):
        yield name, {**its_own, "model": "network", "state": state}
    yield NNGP, {"model": "NNGP", "state": "", "width": 0, "arm": network["arm"]}
    yield NTK, {"model": "NTK", "state": "", "width": 0, "arm": network["arm"]}
    yield OWN, {**its_own, "model": "NTK", "state": ""}
    yield PUBLISHED, {"model": "AdaptiveKernel", "state": "", **_PUBLISHED_PRIOR}
    yield MATCHED, {"model": "AdaptiveKernel", **matched}
    yield MEAN_FIELD, {"model": "mean field", **matched}


def _by_draw(rows: Sequence[Row], columns: Row) -> dict[tuple[Any, ...], Row]:
    """Rows with these values of columns and a logarithm, by the draw of their data; the first one
    counts.
    """
    out: dict[tuple[Any, ...], Row] = {}
    for row in select(rows, **columns):
        if row["nc1"] > 0 and math.isfinite(row["nc1"]):
            out.setdefault(key(row, _DATA_SET), row)
    return out


def _beside(row: Row, found: Mapping[str, Mapping[tuple[Any, ...], Row]]) -> TrainedNetwork:
    draw = key(row, _DATA_SET)
    models = {name: rows[draw] for name, rows in found.items() if draw in rows}
    return TrainedNetwork(
        row["dataset"],
        len(row["sizes"].split(":")),
        row["N"],
        row["d0"],
        row["repeat"],
        row["width"],
        {name: math.log(model["nc1"]) for name, model in models.items()},
        {name: _prior(models[name]) for name in ADAPTIVE if name in models},
    )


def _prior(row: Row) -> str:
    return (
        f"noise {row['noise']:g}, weight variances {row['weight_variance'].replace(':', ' and ')}"
    )


def _not_negative(interval: Interval) -> Interval:
    return dataclasses.replace(interval, low=max(interval.low, 0.0))  # NaN stays


def _cell_means(networks: Sequence[TrainedNetwork], value: Value) -> list[float]:
    cells = grouped_by(networks, lambda network: network.cell)
    return [statistics.fmean(map(value, members)) for _, members in cells]


def _share(guess: Sequence[float], truth: Sequence[float], without: Sequence[float]) -> float:
    """Share of the squared error of `without` that is gone with `guess`; NaN if there is none."""
    left, whole = (
        math.fsum((g - t) ** 2 for g, t in zip(values, truth, strict=True))
        for values in (guess, without)
    )
    return 1 - left / whole if whole > 0 else math.nan


def _gap(networks: Sequence[TrainedNetwork], kernel: str, best: str) -> Interval:
    """How much farther a kernel is than the nearest one."""
    return pooled(networks, lambda network: network.distance(kernel) - network.distance(best))
