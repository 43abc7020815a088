"""Findings on a user's own data, comparisons whose outcome on these data is counted; and the first
screen: what collapses them most, and which kernel is nearest to a network trained on them.
"""

from __future__ import annotations

import math
from importlib import resources
from typing import TYPE_CHECKING

from nc1fast.studies.figures.curves import written
from nc1fast.studies.findings import any_table, pairings, present
from nc1fast.studies.findings.compare import show
from nc1fast.studies.findings.finding import Answer, AnswerRow, AnswerTable, Finding, declared
from nc1fast.studies.findings.rules import CONFIDENCE
from nc1fast.studies.library.data.fitting import MOST_FEATURES
from nc1fast.studies.library.paper import nearness
from nc1fast.studies.library.paper.nearness import END, KERNELS, START
from nc1fast.studies.library.paper.question import row_of
from nc1fast.studies.summary import distinct, grouped, grouped_by, select
from nc1fast.studies.table import LIMITING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.library.paper.nearness import TrainedNetwork
    from nc1fast.studies.tidy import Row


def sections(rows: Sequence[Row]) -> list[tuple[str, list[Finding]]]:
    """All findings that the rows support, under headings, in the order in which they should be
    read.
    """
    some = pairings.first_convention(rows)
    comparisons = declared(resources.files(__package__), vars(pairings))
    found = {key: one.finding(some) for key, one in comparisons.items()}
    return present(
        {
            "Kernels": [found["ntk-nngp"], any_table.over_depth(some), found["erf-relu"]],
            "Trained networks": [found["training"], found["start"]],
            "Learning the labels": [found["adaptive"], found["labels"]],
            "The released code on these data": [found["released-ntk"]],
            "Beside these": [any_table.THEORY.finding(some), scope(some), any_table.unusual(rows)],
        }
    )


def scope(rows: Sequence[Row]) -> Finding:
    """Which rows and models the table is about, and why some are not in it."""
    sentences = [_arm(group["arm"], members) for group, members in grouped(rows, ("arm",))]
    measured = {name for row in rows for name in (row["model"], row["state"])}
    if "theory" not in measured:
        sentences.append(
            "There are no expected curves: they need the law of the data, as a Gaussian mixture "
            "has one."
        )
    if "AdaptiveKernel" not in measured and max(distinct(rows, "d0")) > MOST_FEATURES:
        sentences.append(
            "There are no adaptive kernels: their equations have d₀² unknowns and are left out "
            f"beyond {MOST_FEATURES} features."
        )
    if "network" not in measured:
        sentences.append("No networks were trained.")
    return Finding("scope", "On which rows", "The table is about:", "", "", tuple(sentences))


def _arm(arm: str, rows: Sequence[Row]) -> str:
    """The data of an arm and its models."""
    data = [
        f"{cell['dataset']} (N = {cell['N']:,}, d₀ = {cell['d0']}, {len(cell['sizes'].split(':'))} "
        f"classes{_repeats(members)})"
        for cell, members in grouped(rows, ("dataset", "N", "d0", "sizes"))
    ]
    some = select(rows, lambda row: row["state"] != "theory")
    models = ", ".join(dict.fromkeys(row["model"] for row in some))
    return f"{arm}: {models}, on {', '.join(data)}."


def _repeats(rows: Sequence[Row]) -> str:
    n = len(distinct(rows, "repeat"))
    return f", {n} repeats" if n > 1 else ""


QUESTION = "How collapsed are these data, and which kernel is nearest to a network trained on them?"
_COLUMNS = (END, START, *KERNELS)
_KERNEL = (
    *("model", "activation", "depth", "parametrization", "width"),
    *("weight_variance", "bias_variance"),
)
_MOST = 6  # data sets of which the first screen has a sentence


def answer(rows: Sequence[Row]) -> Answer | None:
    """The answer from the kernels and the trained networks of a table; None without either."""
    rows = pairings.first_convention(rows)
    networks = [
        (f"{written(name)}, depth {depth}", found)
        for name, depth in nearness.kinds(rows, balanced=False)
        if (found := nearness.trained(rows, name, depth, balanced=False))
    ]
    sentences = [*_lowest(rows)[:_MOST], *(_trained(kind, found) for kind, found in networks)]
    if not sentences:
        return None
    tables = _tables(networks)
    priors = {k: prior for _, found in networks for one in found for k, prior in one.priors.items()}
    uncertainty = (
        f"NC1 is the geometric mean over the repeats, in brackets its {100 * CONFIDENCE:.0f} % "
        "Student interval; a distance is the mean of |log NC1(model)/NC1(network at the end)|, "
        "network by network. The nearest kernel has the least mean distance; kernels that cannot "
        "be told from it are marked with it."
        + "".join(f" {name}: {prior}." for name, prior in priors.items())
    )
    return Answer(QUESTION, tuple(sentences), tuple(tables), uncertainty if tables else "")


def _lowest(rows: Sequence[Row]) -> list[str]:
    """A sentence for each data set: the limiting kernel with the lowest NC1, at the largest N."""
    found = []
    for group, members in grouped(rows, ("dataset", "d0")):
        n = max(distinct(members, "N"))
        kernels = select(
            members,
            lambda row: row["model"] in LIMITING and row["nc1"] > 0,
            N=n,
            state="",
            repeat=0,
        )
        plain = [
            same[0]
            for _, same in grouped(kernels, _KERNEL)
            if same[0]["parametrization"] != "standard"
        ]
        data = select(members, model="data", N=n, repeat=0)
        if len(plain) < 2 or not data:
            continue
        low, high = (pick(plain, key=lambda row: row["nc1"]) for pick in (min, max))
        found.append(
            f"Of {len(plain)} kernels of infinitely wide networks on {group['dataset']} (N = "
            f"{n:,}, d₀ = {group['d0']}), {_kernel(low)} is most collapsed, with NC1 "
            f"{low['nc1']:.3g}, and {_kernel(high)} least, with {high['nc1']:.3g}; the data "
            f"themselves have {data[0]['nc1']:.3g}."
        )
    return found


def _kernel(row: Row) -> str:
    return f"the {row['model']} of {written(row['activation'])} at depth {row['depth']}"


def _trained(kind: str, networks: Sequence[TrainedNetwork]) -> str:
    """How far networks of one kind went in training, and which kernel is nearest to them."""
    clauses = []
    for (dataset, n, d0), members in grouped_by(networks, lambda network: network.cell):
        both = nearness.having(members, [START])
        ratio = math.exp(nearness.pooled(both, lambda n: n.logs[END] - n.logs[START]).middle)
        end = math.exp(nearness.pooled(members, lambda n: n.logs[END]).middle)
        known = nearness.present(members)
        rank = nearness.nearest(nearness.having(members, known), known)
        moved = f", {ratio:.3g} times its start" if both else ""
        near = ""
        if rank is not None:
            off = nearness.distance(nearness.having(members, known), rank.best)
            rest = [name for name in rank.ties if name != rank.best]
            ties = f" (not to be told from {', '.join(rest)})" if rest else ""
            near = f"; nearest is {rank.best}{ties}, at |log ratio| {show(off)}"
        clauses.append(f"on {dataset} (N = {n:,}, d₀ = {d0}) {end:.3g}{moved}{near}")
    return f"NC1 of trained networks ({kind}): {'. '.join(clauses)}."


def _tables(networks: Sequence[tuple[str, list[TrainedNetwork]]]) -> list[AnswerTable]:
    """A table for each data set; its rows are kinds of networks, and N and d0 where there are
    several.
    """
    datasets = dict.fromkeys(one.dataset for _, found in networks for one in found)
    tables = []
    for dataset in datasets:
        groups = [
            (kind, n, d0, members)
            for kind, found in networks
            for (name, n, d0), members in grouped_by(found, lambda one: one.cell)
            if name == dataset
        ]
        sizes = {(n, d0) for _, n, d0, _ in groups}
        columns = [name for name in _COLUMNS if any(nearness.having(m, [name]) for *_, m in groups)]
        rows = [
            _row(kind if len(sizes) == 1 else f"{kind}, N = {n:,}, d₀ = {d0}", members, columns)
            for kind, n, d0, members in groups
        ]
        n, d0 = next(iter(sizes))
        where = f", N = {n:,}, d₀ = {d0}" if len(sizes) == 1 else ""
        title = f"{dataset}: {groups[0][-1][0].n_classes} classes{where}"
        tables.append(AnswerTable(title, tuple(columns), tuple(rows)))
    return tables


def _row(label: str, networks: Sequence[TrainedNetwork], columns: Sequence[str]) -> AnswerRow:
    """Networks of one kind on one kind of data; all columns are over the same networks."""
    known = [name for name in columns if nearness.having(networks, [name])]
    return row_of(label, nearness.having(networks, known), known, columns)
