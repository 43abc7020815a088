"""Standard words: idioms that a reader of this field would stumble over do not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The field says: borrowed, converged, error, reported, requested, learning curves, ...
DENIED = [
    r"\bl[ea]nt\b",
    r"\bsteady\b",
    r"\boff by\b",
    r"\bSoon\b",
    r"\btold\b(?! from\b)",  # "cannot be told from" is English
    r"\bwanted\b",
    r"\basked for\b",
    r"\bcourses\b",
    r"\bgrown\b",
    r"\bgladly\b",
    r"\bin the eyes of\b",
]


@pytest.mark.parametrize("word", DENIED)
def test_an_idiom_does_not_come_back(word: str) -> None:
    pages = [*ROOT.glob("docs/*.md"), *(ROOT / "python" / "nc1fast").rglob("*.py")]
    found = [str(page.relative_to(ROOT)) for page in pages if re.search(word, page.read_text())]
    assert found == []


def test_the_glossary_is_a_line_for_each_term_in_order() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text()
    terms = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", page, re.MULTILINE)[1:]
    assert len(terms) > 10
    assert terms == sorted(terms, key=str.lower)
