"""What README.md, docs/findings.md and docs/differences.md say of the committed study: whole
quotations, and ranges computed once more.
"""

from __future__ import annotations

import csv
import itertools
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc1fast.studies.library import paper

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "ci" / "study_quotes.py").is_file():
    pytest.skip("the pages are not part of this source distribution", allow_module_level=True)
sys.path.insert(0, str(ROOT / "ci"))

import study_quotes

PAGES = README, FINDINGS, DIFFERENCES = [
    page.read_text(encoding="utf-8") for page in study_quotes.PAGES
]


@pytest.fixture(scope="module")
def rows():
    return study_quotes.committed(ROOT / "docs" / "paper")


def words(text):
    return " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split())


# --- the quotations


@pytest.mark.parametrize("page", PAGES, ids=["README", "findings", "differences"])
def test_pages_say_what_the_rows_say(page, rows):
    assert study_quotes.refreshed(page, rows) == page, "run: python ci/study_quotes.py"


def test_every_quotation_has_its_place():
    places = [place for page in PAGES for place in study_quotes.marked(page)]
    assert set(places) == set(study_quotes.QUOTES)
    assert sum(page.count("<!-- study:") for page in PAGES) == len(places)


def test_the_answer_and_every_finding_are_quoted_whole(rows):
    told = paper.answer(rows)
    for sentence in (told.question, *told.sentences):
        assert words(sentence) in words(README)
    text = words(FINDINGS)
    assert words(told.uncertainty) in text
    found = paper.findings(rows)
    assert len(found) > 10
    for finding in found:
        whole = f"**{finding.title}** ({finding.verdict}). {' '.join(finding.sentences)}"
        assert words(whole) in text


def test_no_line_of_a_quotation_begins_a_list_by_accident():
    [quoted] = re.findall(r"<!-- study: findings -->(.*?)<!-- /study -->", FINDINGS, re.DOTALL)
    assert not re.search(r"^ *(?:\d+[.)]|[+*#>]|  +-) ", quoted, re.MULTILINE)
    filled = study_quotes._bullet("n " * 74 + "1. Two - three")
    assert [line[:2] for line in filled.splitlines()] == ["- ", "  "]
    assert not re.match(r"  (1\.|-) ", filled.splitlines()[1])


def test_what_goes_stale_is_mended(rows):
    stale = re.sub(r"\d+ to \+\d+ %", "16 to +48 %", DIFFERENCES)
    assert stale != DIFFERENCES
    assert study_quotes.refreshed(stale, rows) == DIFFERENCES
    with pytest.raises(KeyError, match="nothing"):
        study_quotes.refreshed("<!-- study: nothing -->0<!-- /study -->", rows)


# --- the ranges, once more


@pytest.fixture(scope="module")
def lines():
    """Lines of the CSV on D1 and D2, by what names them; the first convention of an arm counts."""
    with (ROOT / "docs" / "paper" / "table.csv").open(newline="") as file:
        found = [
            r for r in csv.DictReader(file) if r["dataset"] in ("D1", "D2") and r["state"] == ""
        ]
    deep = {r["arm"] for r in found if r["depth"] not in ("0", "2")}
    return [r for r in found if r["arm"] not in deep]


def ratios(lines, upper, lower, pair=("dataset", "sizes", "d0", "seed")):
    """Geometric mean of the ratios over the repeats by (dataset, sizes, d0), for lines that two
    functions choose.
    """
    below = {tuple(r[c] for c in pair): float(r["nc1"]) for r in lines if lower(r)}
    cells: dict[Any, dict[str, float]] = {}
    for r in lines:
        place = tuple(r[c] for c in pair)
        if upper(r) and place in below:
            cells.setdefault((r["dataset"], r["sizes"], int(r["d0"])), {})[r["seed"]] = (
                float(r["nc1"]) / below[place]
            )
    return {
        cell: float(np.exp(np.mean(np.log(list(values.values())))))
        for cell, values in cells.items()
    }


def kernel(model, activation="erf", convention="papyan", **columns):
    wanted = {"model": model, "activation": activation, "convention": convention, **columns}
    return lambda r: all(r[name] == value for name, value in wanted.items())


NNGP = kernel("NNGP", width="0")
NTK = kernel("NTK", parametrization="ntk")
OWN = kernel("NTK", parametrization="standard", width="500", arm="balanced")
RELEASED = kernel("compat.released.erf_ntk")


def quoted(name):
    [text] = re.findall(rf"<!-- study: {re.escape(name)} -->(.*?)<!--", DIFFERENCES)
    return text


def whole_range(values):
    return f"{min(values):.3g} to {max(values):.3g}"


def where(cells, dataset, true):
    at: dict[int, list[bool]] = {}
    for (name, _, d0), ratio in cells.items():
        if name == dataset:
            at.setdefault(d0, []).append(true(ratio))
    return f"d0 = {', '.join(str(d0) for d0 in sorted(at) if all(at[d0]))}"


def test_ranges_of_the_ntk(lines):
    released = ratios(lines, NTK, RELEASED)
    assert quoted("NTK over released NTK") == whole_range(released.values())
    below = ratios(lines, RELEASED, NNGP)
    for dataset in ("D1", "D2"):
        name = f"released NTK below the NNGP on {dataset}"
        assert quoted(name) == where(below, dataset, lambda ratio: ratio < 1)
    few = [r for r in lines if int(r["d0"]) <= 8 and r["arm"] == "balanced"]
    assert quoted("NTK over NTK of the network") == whole_range(ratios(few, NTK, OWN).values())
    assert quoted("NTK of the network over NNGP") == whole_range(ratios(few, OWN, NNGP).values())


def test_ntk_is_not_below_the_nngp(lines):
    """As README.md says, to the error bounds."""
    for activation in ("erf", "relu"):
        below = kernel("NNGP", activation, width="0")
        found = ratios(lines, kernel("NTK", activation, parametrization="ntk"), below)
        assert len(found) > 40
        assert min(found.values()) > 1 - 1e-12
    assert min(ratios(lines, RELEASED, NNGP).values()) < 0.99


def test_ranges_of_erf_against_relu(lines):
    balanced = [r for r in lines if len(set(r["sizes"].split(":"))) == 1]
    for some in (balanced, lines):
        cells = ratios(some, NNGP, kernel("NNGP", "relu", width="0"))
        assert quoted("erf below ReLU on D2") == where(cells, "D2", lambda ratio: ratio < 1)
        assert all(ratio < 1 for (dataset, *_), ratio in cells.items() if dataset == "D1")


def test_ranges_of_the_conventions(lines):
    unequal = [r for r in lines if len(set(r["sizes"].split(":"))) > 1]
    found = []
    for model, activation in itertools.product(("NNGP", "NTK"), ("erf", "relu")):
        upper, lower = (
            kernel(model, activation, name, width="0") for name in ("released", "probe")
        )
        found += ratios(unequal, upper, lower).values()
    assert quoted("released over probe") == whole_range(found)
    formula = [(n**2 + m**2) / (2 * n * m) for n, m in ((768, 1280), (256, 1792))]
    assert whole_range(formula) in DIFFERENCES


def test_ranges_of_the_released_adaptive_kernel(lines):
    balanced = [r for r in lines if r["arm"] == "balanced"]
    released, right = kernel("compat.released.adaptive"), kernel("AdaptiveKernel")
    cells = ratios(balanced, released, right)
    for dataset in ("D1", "D2"):
        changes = [100 * (ratio - 1) for (name, *_), ratio in cells.items() if name == dataset]
        expected = f"{min(changes):+.0f} to {max(changes):+.0f} %"
        assert quoted(f"released adaptive over adaptive on {dataset}") == expected


def test_largest_change_by_shuffled_labels():
    with (ROOT / "docs" / "paper" / "table.csv").open(newline="") as file:
        found = [r for r in csv.DictReader(file) if r["model"] == "compat.released.adaptive"]
    found = [r for r in found if r["arm"] == "balanced" and r["convention"] == "papyan"]
    true = {
        (r["dataset"], r["N"], r["d0"], r["repeat"]): float(r["nc1"])
        for r in found
        if not r["state"]
    }
    changes = [
        abs(float(r["nc1"]) / true[r["dataset"], r["N"], r["d0"], r["repeat"]] - 1)
        for r in found
        if r["state"] == "shuffled"
    ]
    assert len(changes) >= 10
    assert quoted("released adaptive, shuffled") == f"{100 * max(changes):.1g} %"
