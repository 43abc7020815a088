"""Standard words: idioms that a reader of this field would stumble over do not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Each with how often it may occur; the field says: borrowed, converged, error, requested, ...
DENIED = {
    r"\bl[ea]nt\b": 1,
    r"\bsteady\b": 0,
    r"\boff by\b": 3,
    r"\bSoon\b": 0,
    r"\btold\b": 181,
    r"\bwanted\b": 22,
    r"\basked for\b": 12,
    r"\bcourses\b": 10,
    r"\bgrown\b": 4,
    r"\bgladly\b": 0,
    r"\bin the eyes of\b": 0,
}


@pytest.mark.parametrize("word", DENIED)
def test_an_idiom_does_not_come_back(word: str) -> None:
    pages = [*ROOT.glob("docs/*.md"), *(ROOT / "python" / "nc1fast").rglob("*.py")]
    found = {str(p.relative_to(ROOT)): len(re.findall(word, p.read_text())) for p in pages}
    assert sum(found.values()) <= DENIED[word], {n: k for n, k in found.items() if k}


def test_the_glossary_is_a_line_for_each_term_in_order() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text()
    terms = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", page, re.MULTILINE)[1:]
    assert len(terms) > 10
    assert terms == sorted(terms, key=str.lower)
