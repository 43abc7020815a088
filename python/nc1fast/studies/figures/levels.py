"""NC1 over a column: numbers of features, width, depth."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures.curves import (
    Curve,
    Point,
    activations,
    beside,
    by_look,
    is_depth_curve,
    is_width_sweep,
    levels,
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
    from collections.abc import Callable, Iterator, Sequence

    from nc1fast.studies.tidy import Row


_OVERVIEW = {  # (model, state)
    ("data", ""),
    ("NNGP", ""),
    ("NTK", ""),
    ("AdaptiveKernel", ""),
    ("mean field", ""),
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
_SETTINGS = (
    ("network", "Networks"),
    ("AdaptiveKernel", "Adaptive kernel"),
    ("mean field", "Mean field"),
)
_BY = {"N": "N", "sizes": "list of class sizes"}
FEATURES = "features d₀"
NC1 = "NC1 (lower: more collapsed)"
RELEASED = " Brown, open markers: what the released code gives."
_THEORY = (
    " Broad pale lines: the expected NC1 of the limiting kernel whose points lie on them, at this "
    "N."
)
_MOST_PANELS = 4  # of the overview


def overview(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 against d0 at the largest N of the first arm with equal classes, one panel for each data
    set and activation.
    """
    for arm, members in over_features(rows):
        some = select(members, convention=members[0]["convention"])
        panels = []
        for group, of_data in grouped(some, ("dataset",)):
            if not all(map(equal_classes, of_data)) or len(distinct(of_data, "d0")) < 2:
                continue
            fullest = _fullest(select(of_data, lambda r: (model_of(r), r["state"]) in _OVERVIEW))
            where = f"{group['dataset']}, N = {fullest[0]['N']}" if fullest else ""
            panels += [_panel(fullest, a, f"{where}, {written(a)}") for a in activations(fullest)]
        panels = panels[:_MOST_PANELS]
        if not panels:
            continue
        caption = (
            "NC1 against the number of features d₀, classes of equal size. NC1 is Tr Σ_W / Tr "
            "Σ_B, the variance within the classes over that between them (arm "
            f"'{arm['arm']}').{_remarks(some)}"
        )
        yield Drawing("overview", caption, drawn(Sheet([panels], FEATURES, NC1, height=3.6)))
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
    """NC1 and relative NC1 of every representation against d0, one panel for each N or list of
    class sizes.
    """
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
            by = size_of(members)
            suffix = f"-{group['convention']}" if len(conventions) > 1 else ""
            for column, (stem, axis, words) in _VALUES.items():
                relative = "relative" in column
                some = measured if relative else members
                sheet = _sized(some, column, axis, by)
                if not any(point.value > 0 for point in sheet.points()):
                    continue
                caption = (
                    f"{group['dataset']}, arm '{arm['arm']}': {words} against the number of "
                    f"features d₀, for each activation and {_BY[by]}. Convention "
                    f"'{group['convention']}'.{_remarks(some)}"
                    f"{_divisor(group['convention']) if relative else ''}"
                )
                name = f"{arm['arm']}-{group['dataset']}{suffix}-{stem}"
                yield Drawing(name, caption, drawn(sheet), aside=relative)


def _sized(rows: Sequence[Row], column: str, axis: str, by: str) -> Sheet:
    """Panels of one column of values."""
    panels = in_panels(rows, by, lambda some, name, title: _panel(some, name, title, column))
    reference = 1.0 if "relative" in column else None
    return Sheet(panels, FEATURES, axis, by_row=True, reference=reference, height=3.0)


def size_of(rows: Sequence[Row]) -> str:
    """The column that tells the sizes of data apart: N, or the sizes of unequal classes."""
    return "N" if all(map(equal_classes, rows)) else "sizes"


def in_panels(
    rows: Sequence[Row], by: str, made: Callable[[list[Row], str, str], Panel | None]
) -> list[list[Panel | None]]:
    """Panels made(rows, activation, title): a row for each activation, a column for each size; one
    row if there is one size.
    """
    order = distinct(rows, by) if by == "sizes" else sorted(distinct(rows, by))
    panels = [
        [made(select(rows, **{by: size}), name, titled(name, by, size)) for size in order]
        for name in activations(rows) or [""]
    ]
    panels = [line for line in panels if any(line)]
    return [[panel for line in panels for panel in line]] if len(order) == 1 else panels


def titled(activation: str, by: str, size: Any) -> str:
    """The title of a panel: its activation, if it has one, and its N or list of class sizes."""
    return ", ".join(
        filter(None, (written(activation), f"N = {size}" if by == "N" else f"sizes {size}"))
    )


def _panel(rows: Sequence[Row], activation: str, title: str, column: str = "log10_nc1") -> Panel:
    return Panel(title, *representations(of_activation(rows, activation), "d0", column))


def over_features(rows: Sequence[Row]) -> list[tuple[Row, list[Row]]]:
    """Arms with several d0 and one width, with their rows; of kernels of several depths, those that
    have others beside them.
    """
    return [
        (arm, beside(members))
        for arm, members in grouped(rows, ("arm",))
        if len(distinct(members, "d0")) > 1
        and not is_width_sweep(members)
        and (activations(beside(members)) or not is_depth_curve(members))
    ]


def _remarks(rows: Sequence[Row]) -> str:
    """The sentences of a caption that depend on the rows drawn: repeats, theory, released code,
    settings.
    """
    text = repeats(rows)
    if any(row["state"] == "theory" for row in rows):
        text += _THEORY
    if any(map(is_released, rows)):
        text += RELEASED
    adaptive = activations(select(rows, model="AdaptiveKernel"))
    missing = [name for name in activations(rows) if name not in adaptive]
    if adaptive and missing:
        names = " and ".join(map(written, missing))
        text += f" The adaptive kernel is not solved for {names}."
    return text + setting(rows)


def is_released(row: Row) -> bool:
    """Whether a row holds what the released code gives."""
    return bool(row["model"].startswith("compat."))


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
    exceptions = "".join(f"; {n} of {', '.join(map(repr, labels))}" for n, labels in fewer.items())
    return f" {most} repeats{exceptions}." if most > 1 else ""


def setting(rows: Sequence[Row]) -> str:
    """A sentence each with the depth, width, variances and noise of what is trained or solved among
    the rows.
    """
    text = ""
    columns = ("depth", "width", "weight_variance", "noise")
    for model, name in _SETTINGS:
        clauses = []
        for cell, _ in grouped(select(rows, model=model), columns):
            hidden, _, readout = cell["weight_variance"].rpartition(":")
            depth = f"depth {cell['depth']}, " if cell["depth"] > 2 else ""
            noise = "" if math.isnan(cell["noise"]) else f", noise {cell['noise']:.3g}"
            clauses.append(
                f"{depth}width {cell['width']}, variance of the hidden weights "
                f"{hidden.replace(':', ', ')} and of the readout {readout}{noise}"
            )
        text += f" {name}: {'; or '.join(clauses)}." if clauses else ""
    return text


def _divisor(convention: str) -> str:
    line = " The line at 1 is the data itself."
    if convention != "released":
        return line
    return f"{line} The divisor is the data's NC1 under 'probe', as the released code has it."


_OF_WIDTH = ("network", "empirical NTK")


def against_width(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 against width for each arm whose networks differ in it; limiting kernels run through all
    widths.
    """
    for group, members in grouped(rows, ("arm", "activation", "convention")):
        trained = select(members, lambda row: row["model"] in _OF_WIDTH)
        if not is_width_sweep(members):
            continue
        widths = sorted(distinct(trained, "width"))
        title = "{dataset}, N = {N}, d₀ = {d0}"
        panels = by_features(members, "N", title, partial(_over_widths, widths=widths))
        caption = (
            f"NC1 of {written(group['activation'])} networks against their width, at their start "
            f"and at their end (arm '{group['arm']}'). The limiting kernels, which have no width, "
            f"run through.{repeats(members)}"
        )
        sheet = Sheet(panels, "width", "NC1", place=math.log2, by_row=True, height=3.0)
        yield Drawing(f"{group['arm']}-{group['activation']}-widths", caption, drawn(sheet))


def by_features(
    rows: Sequence[Row], by: str, title: str, curves: Callable[[list[Row]], list[Curve]]
) -> list[list[Panel]]:
    """Panels: a row for each data set and value of `by`, a column for each d0; `title` is a
    template.
    """
    return [
        [
            Panel(title.format_map(some[0]), curves(some))
            for _, some in grouped(sorted(of_data, key=lambda row: row["d0"]), ("d0",))
        ]
        for _, of_data in grouped(rows, ("dataset", by))
    ]


def _over_widths(rows: Sequence[Row], widths: Sequence[int]) -> list[Curve]:
    curves = []
    for kind, some in by_look(select(rows, lambda row: row["state"] != "theory")):
        if len(distinct(some, "width")) > 1:
            points = sorted(levels(some, "width"), key=lambda p: p.x)
        elif some[0]["width"] == 0:
            points = [Point(w, p.value, p.low, p.high) for p in levels(some, "d0") for w in widths]
        else:
            continue
        curves.append(Curve(look_of(*kind), points))
    return curves
