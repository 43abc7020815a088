"""The answer to the question of the paper: which kernel has the NC1 of trained networks, and what
training adds to it.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from nc1fast.studies.findings.compare import plural, show
from nc1fast.studies.findings.finding import Answer, AnswerCell, AnswerRow, AnswerTable
from nc1fast.studies.findings.rules import CONFIDENCE
from nc1fast.studies.library.paper import nearness
from nc1fast.studies.library.paper.nearness import (
    ADAPTIVE,
    END,
    FIXED,
    KERNELS,
    NNGP,
    NTK,
    OWN,
    PUBLISHED,
    START,
)
from nc1fast.studies.summary import grouped_by

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from nc1fast.studies.findings.rules import Interval
    from nc1fast.studies.library.paper.nearness import Nearest, TrainedNetwork
    from nc1fast.studies.tidy import Row

QUESTION = "Can kernel methods explain how the data affects neural collapse?"
MOSTLY, PARTLY = 0.9, 0.5  # shares of the variance
COLUMNS = (END, *KERNELS)
_WITH_ALL_NETWORKS = (*FIXED, PUBLISHED)  # kernels that a study has for all of its networks
_ROLES = {
    NNGP: ", the kernel of networks before training,",
    **dict.fromkeys((NTK, OWN), ", a kernel that sees no labels,"),
}


def answer(rows: Sequence[Row]) -> Answer | None:
    """The answer from the trained networks of a table; None without networks and kernels on the
    same balanced data.

    Tables and most sentences are about the first activation and depth; each further one gets a
    sentence.

    Parameters
    ----------
    rows : sequence of Row
        Of a study. Networks trained with Langevin noise and classes of unequal size do not enter.
    """
    sets = [(_name(*kind), nearness.trained(rows, *kind)) for kind in nearness.kinds(rows)]
    present = [(kind, networks) for kind, networks in sets if nearness.present(networks)]
    if not present:
        return None
    (kind, networks), *others = present
    basic = (
        nearness.compared(networks, _WITH_ALL_NETWORKS) or nearness.compared(networks, KERNELS)
    )[0]
    whole = max(nearness.compared(networks, KERNELS), key=len)
    sentences = [
        _verdict(networks, basic),
        _counts(networks, basic, kind),
        _distances(networks, basic),
        _finite_width(networks),
        _trends(networks),
    ]
    if len(whole) > len(basic):
        sentences += [_counts(networks, whole, kind), _distances(networks, whole)]
    sentences += [_in_short(other, kind) for kind, other in others]
    tables = [_table(dataset, members, kind) for dataset, members in _datasets(networks)]
    return Answer(QUESTION, tuple(filter(None, sentences)), tuple(tables), _uncertainty(networks))


# The sentences


def _verdict(networks: Sequence[TrainedNetwork], kernels: Sequence[str]) -> str:
    """How much of log NC1 the nearest kernel explains, and how much of the change by training the
    adaptive ones do.
    """
    common = nearness.having(networks, kernels)
    ranks = _ranks(common, kernels)
    best, often = Counter(rank.best for rank in ranks).most_common(1)[0]
    shares = [(name, nearness.explained(members, best)) for name, members in _datasets(common)]
    if any(math.isnan(share) for _, share in shares):
        cells = plural(len(ranks), "cell")
        text = f"Nearest to trained networks is the {best}, in {often} of {cells}."
    else:
        role = _ROLES.get(best, "")
        text = (
            f"{_extent([share for _, share in shares])}: the {best}{role} explains "
            f"{_shares(shares)} of the variance of log NC1 of trained networks over N and d₀, with "
            "nothing fitted."
        )
    changes = [_change(networks, name) for name in ADAPTIVE]
    known = "; ".join(filter(None, changes))
    return f"{text} Of the change that training brings, {known}." if known else text


def _change(networks: Sequence[TrainedNetwork], kernel: str) -> str:
    shares = [
        (name, share)
        for name, members in _datasets(networks)
        if not math.isnan(share := nearness.explained_change(members, kernel))
    ]
    if not shares:
        return ""
    return f"{_where(kernel, networks)} explains {_shares(shares)}"


def _counts(networks: Sequence[TrainedNetwork], kernels: Sequence[str], kind: str) -> str:
    """In how many cells each kernel is nearest."""
    if len(kernels) < 2:
        return ""
    networks = nearness.having(networks, kernels)
    ranks = _ranks(networks, kernels)
    first = Counter(dict.fromkeys(kernels, 0))
    first.update(rank.best for rank in ranks)
    clear = Counter(rank.best for rank in ranks if rank.clear)
    clauses = [
        f"{name} in {n}{f' (clearly in {clear[name]})' * bool(n)}"
        for name, n in first.most_common()
    ]
    where = f"{plural(len(ranks), 'cell')} ({kind}, {_sizes(networks)})"
    return f"Nearest to the trained network in {where}: {_list(clauses)}."


def _ranks(networks: Sequence[TrainedNetwork], kernels: Sequence[str]) -> list[Nearest]:
    """The nearest kernel of each cell."""
    cells = grouped_by(networks, lambda network: network.cell)
    ranks = (nearness.nearest(members, kernels) for _, members in cells)
    return [rank for rank in ranks if rank is not None]


def _distances(networks: Sequence[TrainedNetwork], kernels: Sequence[str]) -> str:
    """Mean distance of each kernel on each data set."""
    common = nearness.having(networks, kernels)
    clauses = [
        f"on {dataset} "
        + ", ".join(f"{name} {show(nearness.distance(members, name))}" for name in kernels)
        for dataset, members in _datasets(common)
    ]
    return f"Mean |log NC1(kernel)/NC1(network)| ({_sizes(common)}): {'; '.join(clauses)}."


def _finite_width(networks: Sequence[TrainedNetwork]) -> str:
    both = nearness.having(networks, [START, NNGP])
    if not both:
        return ""
    return (
        f"Before training the same networks are {_each(both, nearness.floor)} from the NNGP: the "
        f"scatter of width {both[0].width}."
    )


def _trends(networks: Sequence[TrainedNetwork]) -> str:
    """Trends in d0 of the change by training and of the adaptive kernels' changes from the NNGP."""
    pairs = [(END, START), *((name, NNGP) for name in ADAPTIVE)]
    clauses = [text for pair in pairs if (text := _trend(networks, *pair))]
    if not clauses:
        return ""
    return f"Along d₀, {'; '.join(clauses)}."


def _trend(networks: Sequence[TrainedNetwork], upper: str, lower: str) -> str:
    clauses = []
    for dataset, members in _datasets(networks):
        if curves := nearness.slopes(members, upper, lower):
            slope = nearness.mean_slope(curves)
            sign = -1 if slope.middle < 0 else 1
            n = sum(sign * value > nearness.ROUNDING for _, value in curves)
            clauses.append(
                f"{'falls' if sign < 0 else 'rises'} in {n} of {plural(len(curves), 'curve')} on "
                f"{dataset}, mean slope {show(slope)}"
            )
    return f"log NC1({upper})/NC1({lower}) {', and '.join(clauses)}" if clauses else ""


def _in_short(networks: Sequence[TrainedNetwork], kind: str) -> str:
    """One sentence on the networks of a further activation or depth."""
    kernels = nearness.compared(networks, KERNELS)[0]
    common = nearness.having(networks, kernels)
    ranks = _ranks(common, kernels)
    best, n = Counter(name for rank in ranks for name in rank.ties).most_common(1)[0]
    distances = _each(common, lambda members: nearness.distance(members, best))
    both = nearness.having(common, [START, NNGP])
    start = f"; before training the networks are {_each(both, nearness.floor)} from the NNGP"
    return (
        f"{kind}: of {_list(kernels)}, the {best} is nearest, or cannot be told from the nearest, "
        f"in {n} of {plural(len(ranks), 'cell')}; its mean |log NC1(kernel)/NC1(network)| is "
        f"{distances}{start if both else ''}."
    )


def _each(
    networks: Sequence[TrainedNetwork], value: Callable[[Sequence[TrainedNetwork]], Interval]
) -> str:
    """A number of the networks on each data set: "0.1 on D1 and 0.2 on D2"."""
    return _list([f"{show(value(members))} on {name}" for name, members in _datasets(networks)])


# The tables


def _table(dataset: str, networks: Sequence[TrainedNetwork], kind: str) -> AnswerTable:
    """NC1 and distances along d0, over the N that have the most columns."""
    by_n = {n: nearness.present(m) for n, m in grouped_by(networks, lambda n: n.N)}
    most = max(map(len, by_n.values()))
    sizes = [n for n, names in by_n.items() if len(names) == most]
    kept = [network for network in networks if network.N in sizes]
    groups = sorted(grouped_by(kept, lambda network: network.d0))
    rows = [beside(members, f"d₀ = {d0}", sizes) for d0, members in groups]
    title = f"{dataset}: {kind}, {networks[0].n_classes} classes, {_sizes(kept)}"
    return AnswerTable(title, COLUMNS, tuple(rows))


def beside(networks: Sequence[TrainedNetwork], label: str, sizes: Sequence[int]) -> AnswerRow:
    """A row of networks and the kernels beside them; all its columns are over the same networks."""
    known = [
        name
        for name in nearness.present(networks)
        if {n.N for n in nearness.having(networks, [name])} == {n.N for n in networks}
    ]
    common = nearness.having(networks, known)
    if {network.N for network in common} != set(sizes):
        label = f"{label}, {_sizes(common)}"
    return row_of(label, common, {END, *known}, COLUMNS)


def row_of(
    label: str, networks: Sequence[TrainedNetwork], known: Collection[str], columns: Sequence[str]
) -> AnswerRow:
    """A row of networks that have all of the known columns; the others are empty."""
    rank = nearness.nearest(networks, [name for name in KERNELS if name in known])
    near = rank.ties if rank else ()
    cells = [cell_of(networks if name in known else [], name, near) for name in columns]
    return AnswerRow(label, tuple(cells))


def cell_of(networks: Sequence[TrainedNetwork], name: str, near: Sequence[str]) -> AnswerCell:
    """NC1 of a model over some networks, and its distance from them."""
    logs = nearness.pooled(networks, lambda network: network.logs[name])
    off = nearness.distance([] if name == END else networks, name)
    return AnswerCell(
        math.exp(logs.middle),
        math.exp(logs.low),
        math.exp(logs.high),
        off.middle,
        off.low,
        off.high,
        nearest=name in near,
    )


# Words


def _uncertainty(networks: Sequence[TrainedNetwork]) -> str:
    priors = {name: prior for network in networks for name, prior in network.priors.items()}
    named = "".join(f" {name}: {priors[name]}." for name in ADAPTIVE if name in priors)
    return (
        "A cell is a data set, N and d₀, classes of equal size; a curve is a data set, N and a "
        "repeat, its slope that of least squares against log d₀. NC1 is the geometric mean over "
        "the repeats and the N of the title; a distance is the mean of |log "
        "NC1(kernel)/NC1(network at the end)|, network by network. Intervals are "
        f"{100 * CONFIDENCE:g} % Student intervals over the repeats. The nearest kernel has the "
        "least mean distance; clearly so if the interval of the paired difference to every other "
        "kernel lies above zero; kernels that cannot be told from it are marked with it. A kernel "
        "explains 1 - Σ(k - t)²/Σ(t - m)² of the variance, over the cells of a data set, k and t "
        "the mean log NC1 of kernel and network, m the mean of t; and 1 - Σ(k - t)²/Σt² of the "
        "change that training brings, t = log NC1(end)/NC1(start) of the network, k = log "
        "NC1(kernel)/NC1(NNGP). Shares are rounded down, and nothing stands for those that are "
        f"not positive. For the most part: {100 * MOSTLY:g} % or more on every data set; hardly: "
        f"less than {100 * PARTLY:g} % on all; in part: anything between.{named}"
    )


def _datasets(networks: Sequence[TrainedNetwork]) -> list[tuple[str, list[TrainedNetwork]]]:
    return grouped_by(networks, lambda network: network.dataset)


def _name(activation: str, depth: int) -> str:
    return f"{activation}, depth {depth}"


def _sizes(networks: Sequence[TrainedNetwork]) -> str:
    return f"N = {', '.join(f'{n:,}' for n in sorted({network.N for network in networks}))}"


def _where(kernel: str, networks: Sequence[TrainedNetwork]) -> str:
    """The name of a kernel, with its N if some networks of other N do not have it."""
    own = _sizes(nearness.having(networks, [kernel]))
    return kernel if own == _sizes(networks) else f"{kernel} at {own}"


def _extent(shares: Sequence[float]) -> str:
    if min(shares) >= MOSTLY:
        return "For the most part"
    return "Hardly" if max(shares) < PARTLY else "In part"


def _shares(shares: Sequence[tuple[str, float]]) -> str:
    """Shares of the data sets, rounded down: "98 % (D1) and 95 % (D2)", "nothing (D1 and D2)"."""
    names: dict[str, list[str]] = {}
    for name, share in shares:
        names.setdefault(_percent(share), []).append(name)
    return _list([f"{text} ({_list(members)})" for text, members in names.items()])


def _percent(share: float) -> str:
    return "nothing" if share <= 0 else f"{math.floor(100 * share)} %"


def _list(parts: Sequence[str]) -> str:
    """Parts joined by commas, the last one by "and"."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
