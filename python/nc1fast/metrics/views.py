"""Named values as text and as HTML."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def _lines(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of what is a number or a text, and no array."""
    return [
        (name, f"{value:.6g}" if isinstance(value, int | float) else value)
        for name, value in values.items()
        if isinstance(value, int | float | str) and value != ""
    ]


def summary(title: str, values: Mapping[str, Any]) -> str:
    """Title, and a line for each number or text."""
    lines = _lines(values)
    width = max(len(name) for name, _ in lines)
    return "\n".join([title, *(f"  {name:<{width}}  {value}" for name, value in lines)])


def to_html(title: str, values: Mapping[str, Any]) -> str:
    """Table with a row for each number or text."""
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in _lines(values)
    )
    return f"<table><caption>{html.escape(title)}</caption><tbody>{rows}</tbody></table>"
