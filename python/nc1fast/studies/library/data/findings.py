"""The findings on a user's own data: kernels against each other, networks against kernels, labels
against chance.

They claim nothing of their own: each is a comparison whose outcome on these data is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nc1fast.studies.findings import checks, depth, present
from nc1fast.studies.findings.finding import Finding, estimated, judged
from nc1fast.studies.findings.words import count, ratio_words, subject, where
from nc1fast.studies.library.data.fitting import MOST_FEATURES
from nc1fast.studies.library.data.rows import first_convention
from nc1fast.studies.library.paper.findings import pairings
from nc1fast.studies.summary import distinct, grouped, select

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nc1fast.studies.findings.compare import CellVerdict
    from nc1fast.studies.tidy import Row


@dataclass(frozen=True)
class _Comparison:
    """One comparison: how it is called, what it counts, and the columns by which its sentences are
    told.
    """

    key: str
    title: str
    statement: str
    ratio_name: str
    compare: Callable[[Sequence[Row]], list[CellVerdict]]
    columns: tuple[str, ...]

    def told(self, rows: Sequence[Row], make: Callable[..., Finding]) -> Finding | None:
        """The finding, by `judged` or `estimated`; None without cells."""
        if not (cells := self.compare(rows)):
            return None
        told = [
            f"{name}: {subject(members)} {count(members)}; {ratio_words(members)}.{where(members)}"
            for name, members in _by(cells, self.columns)
        ]
        return make(self.key, self.title, self.statement, self.ratio_name, told, cells)


def _by(
    cells: Sequence[CellVerdict], columns: Sequence[str]
) -> list[tuple[str, list[CellVerdict]]]:
    """Groups (name, cells) of cells that agree in the columns; a number has the name of its column
    before it.
    """
    groups: dict[str, list[CellVerdict]] = {}
    for cell in cells:
        words = (_NAMES.get(column, "{}").format(cell.cell[column]) for column in columns)
        groups.setdefault(", ".join(words).replace(":", " and "), []).append(cell)
    return list(groups.items())


_NAMES = {"depth": "depth {}", "noise": "noise {:g}", "weight_variance": "weight variances {}"}
_EXACT = (
    _Comparison(
        "ntk-nngp",
        "The NTK against the NNGP",
        "NC1(NTK) ≥ NC1(NNGP), for the same activation and depth.",
        "NC1(NTK)/NC1(NNGP)",
        pairings.ntk_against_nngp,
        ("dataset", "activation", "depth"),
    ),
    _Comparison(
        "erf-relu",
        "erf against ReLU",
        "NC1(erf) ≤ NC1(ReLU), for the same kernel and depth.",
        "NC1(erf)/NC1(ReLU)",
        pairings.erf_against_relu,
        ("dataset", "model", "depth"),
    ),
    _Comparison(
        "adaptive",
        "The adaptive kernel against the NNGP",
        "NC1(adaptive) ≤ NC1(NNGP): learning the labels collapses the kernel.",
        "NC1(adaptive)/NC1(NNGP)",
        pairings.adaptive_against_nngp,
        ("dataset", "activation", "noise", "weight_variance"),
    ),
    _Comparison(
        "labels",
        "Shuffled labels",
        "Solved for shuffled labels, the adaptive kernel has a higher NC1 under the true ones.",
        "NC1(adaptive, shuffled labels)/NC1(adaptive, true labels)",
        pairings.shuffled_against_true,
        ("dataset", "activation", "noise"),
    ),
    _Comparison(
        "released-ntk",
        "The erf NTK of the released code",
        "NC1(NTK) ≥ NC1(NNGP), with the erf NTK that the released code gives.",
        "NC1(released erf NTK)/NC1(NNGP)",
        pairings.released_ntk_against_nngp,
        ("dataset",),
    ),
)
_RANDOM = (
    _Comparison(
        "training",
        "Networks from start to end",
        "Training leaves NC1 of the last hidden layer where it was, within 5 %.",
        "NC1(end)/NC1(start)",
        pairings.network_end_against_start,
        ("dataset", "activation", "depth"),
    ),
    _Comparison(
        "start",
        "Networks before training",
        "NC1 of networks at their start is that of the NNGP, within 5 %.",
        "NC1(start)/NC1(NNGP)",
        pairings.start_against_nngp,
        ("dataset", "activation", "depth"),
    ),
)


def sections(rows: Sequence[Row]) -> list[tuple[str, list[Finding]]]:
    """All findings that the rows support, under headings, in the order in which they should be
    read.
    """
    some = first_convention(rows)
    exact = {one.key: one.told(some, judged) for one in _EXACT}
    random = {one.key: one.told(some, estimated) for one in _RANDOM}
    return present(
        {
            "Kernels": [exact["ntk-nngp"], depth.over_depth(some), exact["erf-relu"]],
            "Trained networks": [random["training"], random["start"]],
            "Learning the labels": [exact["adaptive"], exact["labels"]],
            "The released code on these data": [exact["released-ntk"]],
            "Beside these": [checks.theory(some), scope(some), checks.unusual(rows)],
        }
    )


def scope(rows: Sequence[Row]) -> Finding:
    """Which rows and models the table is about, and why some are not in it."""
    sentences = [_arm(group["arm"], members) for group, members in grouped(rows, ("arm",))]
    measured = {name for row in rows for name in (row["model"], row["state"])}
    if "theory" not in measured:
        sentences.append(
            "There are no expected curves: they need the law of the data, as a Gaussian mixture has one."
        )
    if "AdaptiveKernel" not in measured and max(distinct(rows, "d0")) > MOST_FEATURES:
        sentences.append(
            f"There are no adaptive kernels: their equations have d₀² unknowns and are left out beyond {MOST_FEATURES} "
            "features."
        )
    if "network" not in measured:
        sentences.append("No networks were trained.")
    return Finding("scope", "On which rows", "The table is about:", "", "", tuple(sentences))


def _arm(arm: str, rows: Sequence[Row]) -> str:
    """The data of an arm and its models."""
    data = [
        f"{cell['dataset']} (N = {cell['N']:,}, d₀ = {cell['d0']}, {len(cell['sizes'].split(':'))} classes"
        f"{_repeats(members)})"
        for cell, members in grouped(rows, ("dataset", "N", "d0", "sizes"))
    ]
    some = select(rows, lambda row: row["state"] != "theory")
    models = ", ".join(dict.fromkeys(row["model"] for row in some))
    return f"{arm}: {models}, on {', '.join(data)}."


def _repeats(rows: Sequence[Row]) -> str:
    n = len(distinct(rows, "repeat"))
    return f", {n} repeats" if n > 1 else ""
