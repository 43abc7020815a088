"""The findings on a user's own data: kernels against each other, networks against kernels, labels
against chance.

They claim nothing of their own: each is a comparison whose outcome on these data is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.findings import any_table, pairings, present
from nc1fast.studies.findings.finding import EACH, Comparison, Finding, Sentence
from nc1fast.studies.library.data.fitting import MOST_FEATURES
from nc1fast.studies.summary import distinct, grouped, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.tidy import Row

_NTK_NNGP = Comparison(
    "ntk-nngp",
    "The NTK against the NNGP",
    "NC1(NTK) ≥ NC1(NNGP), for the same activation and depth.",
    "NC1(NTK)/NC1(NNGP)",
    pairings.ntk_against_nngp,
    (Sentence(EACH, columns=("dataset", "activation", "depth")),),
)
_ERF_RELU = Comparison(
    "erf-relu",
    "erf against ReLU",
    "NC1(erf) ≤ NC1(ReLU), for the same kernel and depth.",
    "NC1(erf)/NC1(ReLU)",
    pairings.erf_against_relu,
    (Sentence(EACH, columns=("dataset", "model", "depth")),),
)
_ADAPTIVE = Comparison(
    "adaptive",
    "The adaptive kernel against the NNGP",
    "NC1(adaptive) ≤ NC1(NNGP): learning the labels collapses the kernel.",
    "NC1(adaptive)/NC1(NNGP)",
    pairings.adaptive_against_nngp,
    (Sentence(EACH, columns=("dataset", "activation", "noise", "weight_variance")),),
)
_LABELS = Comparison(
    "labels",
    "Shuffled labels",
    "Solved for shuffled labels, the adaptive kernel has a higher NC1 under the true ones.",
    "NC1(adaptive, shuffled labels)/NC1(adaptive, true labels)",
    pairings.shuffled_against_true,
    (Sentence(EACH, columns=("dataset", "activation", "noise")),),
)
_RELEASED_NTK = Comparison(
    "released-ntk",
    "The erf NTK of the released code",
    "NC1(NTK) ≥ NC1(NNGP), with the erf NTK that the released code gives.",
    "NC1(released erf NTK)/NC1(NNGP)",
    pairings.released_ntk_against_nngp,
    (Sentence(EACH, columns=("dataset",)),),
)
_TRAINING = Comparison(
    "training",
    "Networks from start to end",
    "Training leaves NC1 of the last hidden layer where it was, within 5 %.",
    "NC1(end)/NC1(start)",
    pairings.network_end_against_start,
    (Sentence(EACH, columns=("dataset", "activation", "depth")),),
    random=True,
)
_START = Comparison(
    "start",
    "Networks before training",
    "NC1 of networks at their start is that of the NNGP, within 5 %.",
    "NC1(start)/NC1(NNGP)",
    pairings.start_against_nngp,
    (Sentence(EACH, columns=("dataset", "activation", "depth")),),
    random=True,
)


def sections(rows: Sequence[Row]) -> list[tuple[str, list[Finding]]]:
    """All findings that the rows support, under headings, in the order in which they should be
    read.
    """
    some = pairings.first_convention(rows)
    return present(
        {
            "Kernels": [
                _NTK_NNGP.finding(some),
                any_table.over_depth(some),
                _ERF_RELU.finding(some),
            ],
            "Trained networks": [_TRAINING.finding(some), _START.finding(some)],
            "Learning the labels": [_ADAPTIVE.finding(some), _LABELS.finding(some)],
            "The released code on these data": [_RELEASED_NTK.finding(some)],
            "Beside these": [any_table.THEORY.finding(some), scope(some), any_table.unusual(rows)],
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
