"""NC1 against the number of features: the overview, and every representation by size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures.curves import (
    BARS,
    activations,
    is_depth_curve,
    of_activation,
    representations,
    written,
)
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.looks import look_of, model_of
from nc1fast.studies.figures.panels import Panel, Sheet, drawn
from nc1fast.studies.summary import distinct, equal_classes, grouped, select
from nc1fast.studies.table import RELEASED_ADAPTIVE, RELEASED_ERF_NTK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.tidy import Row

_OVERVIEW = {  # (model, state)
    ("data", ""),
    ("NNGP", ""),
    ("NTK", ""),
    ("AdaptiveKernel", ""),
    ("network", "end"),
    ("NNGP", "theory"),
    ("NTK", "theory"),
    (RELEASED_ERF_NTK, ""),
    (RELEASED_ADAPTIVE, ""),
}
_VALUES = {
    "log10_nc1": ("nc1", "NC1", "NC1"),
    "log10_relative_nc1": (
        "relative-nc1",
        "relative NC1",
        "relative NC1, that of the representation over that of the data",
    ),
}
_SHOWN_CONVENTIONS = ("papyan", "released")  # `controls.conventions` shows all of them
_BY = {"N": "N", "sizes": "list of class sizes"}
FEATURES = "features d₀"
RELEASED = " Dashed, open markers: what the released code gives."
_THEORY = " Broad pale lines: the expected NC1 of the limiting kernel of that colour at this N."
SIDE = "; the points of one d₀ are set side by side."


def overview(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 against d0 at the largest N of the first data set with equal classes, one panel for each activation."""
    for _, arm in over_features(rows):
        for _, members in grouped(arm, ("dataset", "convention")):
            if not all(equal_classes(row) for row in members):
                continue
            some = _fullest(select(members, lambda r: (model_of(r), r["state"]) in _OVERVIEW))
            where = f"{some[0]['dataset']}, N = {some[0]['N']}" if some else ""
            panels = [_panel(some, name, f"{written(name)}: {where}") for name in activations(some)]
            if len(distinct(some, "d0")) < 2 or not panels:
                continue
            sheet = Sheet(
                [panels],
                FEATURES,
                "NC1 (lower: more collapsed)",
                legend="right",
                size=(3.9, 4.2),
            )
            caption = (
                f"NC1 against the number of features d₀ on {where}, classes of equal size (arm "
                f"'{some[0]['arm']}'). NC1 is Tr Σ_W / Tr Σ_B, the variance within classes over that between them. "
                f"{BARS}{SIDE}{_remarks(some)}"
            )
            yield Drawing("overview", caption, drawn(sheet))
            return


def _fullest(rows: Sequence[Row]) -> list[Row]:
    """Rows of one N: the largest of those with the most representations."""
    by_size = grouped(rows, ("N",))
    best = max(
        by_size,
        key=lambda g: (len({(model_of(r), r["activation"], r["state"]) for r in g[1]}), g[0]["N"]),
        default=({}, []),
    )
    return best[1]


def by_size(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 and relative NC1 of every representation against d0, one panel for each N or list of class sizes."""
    for arm, arm_rows in over_features(rows):
        conventions = distinct(arm_rows, "convention")
        shown = [c for c in _SHOWN_CONVENTIONS if c in conventions] or conventions[:1]
        of_labels = select(
            arm_rows, lambda row: row["state"] != "shuffled"
        )  # shown by `controls.shuffled`
        for group, members in grouped(of_labels, ("dataset", "convention")):
            if group["convention"] not in shown:
                continue
            measured = select(members, lambda r: r["model"] != "data" and r["state"] != "theory")
            by = "N" if all(map(equal_classes, members)) else "sizes"
            suffix = f"-{group['convention']}" if len(conventions) > 1 else ""
            for column, (stem, axis, words) in _VALUES.items():
                some = measured if "relative" in column else members
                sheet = _sized(some, column, axis, by)
                if not any(point.value > 0 for point in sheet.points()):
                    continue
                caption = (
                    f"{group['dataset']}, arm '{arm['arm']}', convention '{group['convention']}': {words}, against the "
                    f"number of features d₀, one panel for each activation and {_BY[by]}. {BARS}{SIDE}"
                    f"{_remarks(some)}{_divisor(group['convention']) if 'relative' in column else ''}"
                )
                name = f"{arm['arm']}-{group['dataset']}{suffix}-{stem}"
                yield Drawing(name, caption, drawn(sheet))


def _sized(rows: Sequence[Row], column: str, axis: str, by: str) -> Sheet:
    """One row of panels for each activation, one column for each size; a single row if there is one size."""
    order = distinct(rows, by) if by == "sizes" else sorted(distinct(rows, by))
    panels = [
        [_panel(select(rows, **{by: size}), name, titled(name, by, size), column) for size in order]
        for name in activations(rows) or [""]
    ]
    if len(order) == 1:
        panels = [[panel for row in panels for panel in row]]
    reference = 1.0 if "relative" in column else None
    legend = "below" if len(panels[0]) > 2 else "right"
    return Sheet(
        panels,
        FEATURES,
        axis,
        by_row=True,
        reference=reference,
        legend=legend,
        size=(2.9, 2.9),
    )


def titled(activation: str, by: str, size: Any) -> str:
    """The title of a panel: its activation, if it has one, and its N or list of class sizes."""
    return ", ".join(
        filter(None, (written(activation), f"N = {size}" if by == "N" else f"sizes {size}"))
    )


def _panel(rows: Sequence[Row], activation: str, title: str, column: str = "log10_nc1") -> Panel:
    return Panel(title, *representations(of_activation(rows, activation), "d0", column))


def over_features(rows: Sequence[Row]) -> list[tuple[Row, list[Row]]]:
    """Arms with several d0 and kernels of one depth, each with its rows."""
    return [
        (arm, members)
        for arm, members in grouped(rows, ("arm",))
        if len(distinct(members, "d0")) > 1 and not is_depth_curve(members)
    ]


def _remarks(rows: Sequence[Row]) -> str:
    """The sentences of a caption that depend on the rows drawn: repeats, theory, released code, settings."""
    text = repeats(rows)
    if any(row["state"] == "theory" for row in rows):
        text += _THEORY
    if any(row["model"].startswith("compat.") for row in rows):
        text += RELEASED
    adaptive = activations(select(rows, model="AdaptiveKernel"))
    missing = [name for name in activations(rows) if name not in adaptive]
    if adaptive and missing:
        names = " and ".join(map(written, missing))
        text += f" The adaptive kernel is not solved for {names}."
    return text + setting(rows)


def repeats(rows: Sequence[Row]) -> str:
    """A sentence with the number of repeats, and the representations that have fewer."""
    repeats: dict[str, set[int]] = {}
    for row in rows:
        if row["state"] != "theory":
            label = look_of(model_of(row), row["state"]).label
            repeats.setdefault(label, set()).add(row["repeat"])
    counts = {label: len(found) for label, found in repeats.items()}
    most = max(counts.values(), default=0)
    fewer: dict[int, list[str]] = {}
    for label, n in counts.items():
        if n < most:
            fewer.setdefault(n, []).append(label)
    told = "".join(f"; {n} of {', '.join(map(repr, labels))}" for n, labels in fewer.items())
    return f" {most} repeats{told}." if most > 1 else ""


def setting(rows: Sequence[Row]) -> str:
    """A sentence each with the width, variances and noise of the networks and adaptive kernels among the rows."""
    text = ""
    for model, name in (("network", "Networks"), ("AdaptiveKernel", "Adaptive kernel")):
        told = []
        for cell, _ in grouped(select(rows, model=model), ("width", "weight_variance", "noise")):
            hidden, _, readout = cell["weight_variance"].rpartition(":")
            noise = "" if math.isnan(cell["noise"]) else f", noise {cell['noise']:.3g}"
            told.append(
                f"width {cell['width']}, variance of the hidden weights {hidden.replace(':', ', ')} and of the readout "
                f"{readout}{noise}"
            )
        text += f" {name}: {'; or '.join(told)}." if told else ""
    return text


def _divisor(convention: str) -> str:
    line = " The line at 1 is the data itself."
    if convention != "released":
        return line
    return f"{line} The divisor is the data's NC1 under 'probe', as the released code has it."
