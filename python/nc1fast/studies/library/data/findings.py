"""The findings on a user's own data: kernels against each other, networks against kernels, labels
against chance.

They claim nothing of their own: each is a comparison whose outcome on these data is counted.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from nc1fast.studies.findings import any_table, pairings, present
from nc1fast.studies.findings.finding import Finding, declared
from nc1fast.studies.library.data.fitting import MOST_FEATURES
from nc1fast.studies.summary import distinct, grouped, select

if TYPE_CHECKING:
    from collections.abc import Sequence

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
