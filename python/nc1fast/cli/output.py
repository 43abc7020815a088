"""Output of the commands: tables on a terminal, plain text in a pipe, or JSON."""

from __future__ import annotations

import csv
import io
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

import nc1fast as nc
from nc1fast.support.files import replaced, write_atomically
from nc1fast.support.plain import plain, to_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Columns of a table of many rows on a terminal, which has no room for all.
_BRIEF = ("data", "n_samples", "n_classes", "nc1", "error_bound", "interval_low", "interval_high")
_ALL, _FEW = 12, 6  # digits of a number, and where columns of many rows must fit into a terminal


def row_of(result: Any) -> dict[str, Any]:
    """The columns of `nc1fast.to_table` of one result, as plain values."""
    return {name: values[0].item() for name, values in nc.to_table(result).items()}


def fields(result: Any, *names: str) -> dict[str, Any]:
    """These fields of a result, as plain values."""
    return {name: plain(getattr(result, name)) for name in names}


def show(row: dict[str, Any], as_json: bool) -> None:
    """Print one JSON object, or one line for each value; empty values and NaN are left out."""
    present = known(row)
    if as_json:
        show_json(present)
    elif sys.stdout.isatty():
        _draw((), [[name, _text(value)] for name, value in present.items()])
    else:
        column = max(16, *map(len, present))
        for name, value in present.items():
            typer.echo(f"{name:<{column}} {_text(value)}")


def show_rows(rows: list[dict[str, Any]], as_json: bool, brief: tuple[str, ...] = _BRIEF) -> None:
    """Print rows: a JSON object in a line for each, a table of some columns on a terminal, or
    columns joined by tabs.
    """
    present = [known(row) for row in rows]
    if as_json:
        for row in present:
            show_json(row)
        return
    names = [name for name in rows[0] if any(name in row for row in present)]
    names = sorted(names, key=lambda name: name != "data")
    wide = not sys.stdout.isatty()
    names = [name for name in names if wide or name in brief]
    digits = _ALL if wide else _FEW
    lines = [[_text(row.get(name, ""), digits) for name in names] for row in present]
    if wide:
        typer.echo("\n".join("\t".join(line) for line in [names, *lines]))
    else:
        _draw(tuple(names), lines)


def write(out: Path, columns: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write columns to a .csv file; with these arrays to an .npz file."""
    if out.suffix == ".csv":
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
        write_atomically(out, text.getvalue().encode())
        return
    with replaced(out) as file:
        np.savez(file, **columns, **arrays)


def show_json(value: Any) -> None:
    """Print one line of strict JSON, where NaN is null and infinities are strings."""
    typer.echo(to_line(value))


def known(row: dict[str, Any]) -> dict[str, Any]:
    """The values that are there: neither empty nor NaN."""
    return {
        name: value
        for name, value in row.items()
        if value != "" and not (isinstance(value, float) and math.isnan(value))
    }


def _text(value: Any, digits: int = _ALL) -> str:
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def _draw(header: tuple[str, ...], lines: list[list[str]]) -> None:
    """A table of rich, which asks the terminal, NO_COLOR and TERM for colours."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*header, box=None, show_header=bool(header), header_style="bold", pad_edge=False)
    if not header:
        table.add_column(style="bold")
        table.add_column(overflow="fold")
    for line in lines:
        table.add_row(*map(Text, line))  # as it is: brackets are no markup
    Console().print(table)
