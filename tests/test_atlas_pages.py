"""docs/atlas/: every page follows from the table beside it."""

from __future__ import annotations

import csv
import json
import re
import shutil
import statistics
import sys
from pathlib import Path

import pytest

from nc1fast import studies
from nc1fast.studies import library, measures
from nc1fast.studies.compared import on_d1
from nc1fast.studies.page import bound, cited

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "ci" / "atlas_pages.py").is_file():
    pytest.skip("the pages are not part of this source distribution", allow_module_level=True)
sys.path.insert(0, str(ROOT / "ci"))

import atlas_pages
import atlas_results
import atlas_tables
from atlas_tables import Form

TINY = """
name: unified-kernel
title: "Tiny: <a> *family* | of ours"
preset: full
repeats: 7
parts:
  - {part: mixtures, activation: [relu], d0: [1, 5], n_samples: 16, shares: [0, 0.4, 1]}
  - {part: nc1, d0: [1, 8], n_samples: 24}
"""


def words(text):
    return " ".join(text.replace("\N{NO-BREAK SPACE}", " ").replace("\\", "").split())


# --- the committed pages


def test_committed_pages_follow_from_the_committed_tables():
    assert atlas_pages.stale() == [], "run: python ci/atlas_pages.py"


def test_committed_tables_are_small_and_judged_by_their_own_rows():
    for one in atlas_results.committed():
        text = (atlas_results.DOCS / f"{one.name}.md").read_text(encoding="utf-8")
        told = re.findall(r"^\*\*(\w+)\. .*?\*\* \(([^)]+)\)", text, re.MULTILINE)
        assert told == [(c.letter, c.finding.verdict) for c in one.study.claims(one.rows)]
        assert sum(path.stat().st_size for path in one.folder.iterdir()) < 330_000


def test_the_index_has_the_constructions_of_the_paper():
    """Medians and bounds from the lines of the CSV, once more."""
    index = (atlas_results.DOCS / "README.md").read_text(encoding="utf-8")
    with (ROOT / "docs" / "paper" / "table.csv").open(newline="") as file:
        lines = [
            r
            for r in csv.DictReader(file)
            if (r["arm"], r["dataset"], r["N"]) == ("balanced", "D1", "256")
            and r["convention"] == "papyan"
            and r["state"] == ""
        ]
    for model, activation, name in (
        ("NNGP", "erf", "erf NNGP"),
        ("NNGP", "relu", "ReLU NNGP"),
        ("NTK", "erf", "erf NTK"),
        ("NTK", "relu", "ReLU NTK"),
    ):
        cells = []
        for d0 in ("1", "8", "128"):
            some = [
                r
                for r in lines
                if (r["model"], r["activation"], r["d0"]) == (model, activation, d0)
                and r["parametrization"] != "standard"
            ]
            assert len(some) == 10
            nc1 = statistics.median(float(r["nc1"]) for r in some)
            error = max(float(r["error_bound"]) for r in some)
            [(shown, limit)] = re.findall(rf"\| {name} \|.*?(?:{nc1:.4g}) \((\S+)\)()", index) or [
                ("", "")
            ]
            assert shown, (name, d0)
            assert float(shown) >= error * (1 - 1e-2)  # the CSV has three digits of it
            assert limit == ""
            cells.append(nc1)
        assert len(set(cells)) == 3


# --- from results to pages


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    studies.run(studies.parse(TINY), folder / "unified-kernel")
    return folder


@pytest.fixture(scope="module")
def taken(results, tmp_path_factory):
    docs = tmp_path_factory.mktemp("docs")
    assert atlas_pages.main(["--results", str(results), "--docs", str(docs)]) == 0
    return docs


@pytest.fixture
def docs(taken, tmp_path):
    return Path(shutil.copytree(taken, tmp_path / "docs"))


def test_a_page_says_what_the_results_say(results, taken):
    rows, provenance = measures.LAYOUT.read(results / "unified-kernel")
    page = (taken / "unified-kernel.md").read_text(encoding="utf-8")
    for one in library.STUDIES["unified-kernel"].claims(rows):
        told = f"**{one.letter}. {one.finding.title}** ({one.finding.verdict}). {one.finding.claim}"
        assert words(told) in words(page)
        for sentence in (one.number, *one.details):
            assert words(sentence) in words(page)
    assert words(provenance["title"]) in words(page)
    assert "`nc1fast study unified-kernel --preset full --out out/unified-kernel`" in page
    assert f"nc1fast {provenance['version']}" in page
    assert "https://arxiv.org/abs/2403.17467" in page
    assert words(library.STUDIES["unified-kernel"].ours) in words(page)
    for _, line in on_d1(rows):
        for d0, (nc1, error) in line.items():
            assert d0 in (1, 8)
            assert f"{nc1:.4g} ({bound(error)})" in page
    index = (taken / "README.md").read_text(encoding="utf-8")
    assert "[unified-kernel](unified-kernel.md)" in index
    assert "**holds** U1, U2, U3" in index
    assert str(results) not in page + index
    assert json.loads((taken / "unified-kernel" / "origin.json").read_text())["form"] == {
        "digits": {},
        "repeats": None,
        "largest": False,
        "ditto": False,
    }


def test_pages_are_markdown_that_holds_together(taken):
    for path in taken.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        columns = 0
        for line in text.splitlines():
            bars = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
            assert not (columns and bars and bars != columns), line
            columns = bars
        for target in re.findall(r"\]\(([^)]+)\)", text):
            here = path.parent / target
            there = ROOT / "docs" / "atlas" / target
            assert target.startswith("https://") or here.exists() or there.exists(), target
        assert not re.search(r"(?<!\\)<(?!!--|https)", text)


DAMAGES = {
    "a page edited by hand": ("unified-kernel.md", lambda text: text.replace("holds", "fails")),
    "the index edited by hand": ("README.md", lambda text: text + "\n"),
    "another table": (
        "unified-kernel/table.csv",
        lambda text: re.sub(r",0-6,\S+", lambda m: f",0-6,{1 / 3}", text, count=1),
    ),
    "another origin": (
        "unified-kernel/origin.json",
        lambda text: text.replace('"seed": 0', '"seed": 1'),
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_goes_stale_is_seen_and_mended(docs, damage, capsys):
    assert atlas_pages.main(["--check", "--docs", str(docs)]) == 0
    name, change = DAMAGES[damage]
    text = (docs / name).read_text(encoding="utf-8")
    assert change(text) != text
    (docs / name).write_text(change(text), encoding="utf-8")
    assert atlas_pages.main(["--check", "--docs", str(docs)]) == 1
    assert ".md" in capsys.readouterr().out
    assert atlas_pages.main(["--docs", str(docs)]) == 0
    assert atlas_pages.stale(docs) == []


def test_files_that_no_table_explains_are_seen(docs):
    (docs / "nothing.md").write_text("# Nothing\n")
    (docs / "nobody").mkdir()
    (docs / "unified-kernel" / "along-s.png").unlink()
    assert atlas_pages.stale(docs) == ["nothing.md", "nobody", "unified-kernel/along-s.png"]


def test_a_verdict_of_a_page_comes_from_its_table(docs):
    """Values of the mixed Gram matrices that are off by 1e-9 fail U2."""
    path = docs / "unified-kernel" / "table.csv"
    rows = atlas_tables.read(path.read_text(encoding="utf-8"))
    off = [r | {"value": r["value"] * (1 + 1e-9 * (r["thing"] == "K(s), stored"))} for r in rows]
    path.write_text(atlas_tables.written(off), encoding="utf-8")
    atlas_pages.main(["--docs", str(docs)])
    assert "| U2 | One pass gives the whole curve | fails | fails 42 |" in (
        docs / "unified-kernel.md"
    ).read_text(encoding="utf-8")


def test_runs_that_are_not_whole_or_of_another_study_are_refused(results, tmp_path):
    rows, provenance = measures.LAYOUT.read(results / "unified-kernel")
    half, other, bare = (tmp_path / name / "unified-kernel" for name in ("half", "other", "bare"))
    for folder, about in (
        (half, provenance | {"cells": "3 of 5"}),
        (other, provenance | {"study": "exact-step"}),
        (bare, {}),
    ):
        folder.mkdir(parents=True)
        measures.LAYOUT.write(rows, folder, about)
        with pytest.raises(ValueError, match=r"is not whole|has no measures of unified-kernel"):
            atlas_results.take("unified-kernel", folder.parent, tmp_path / "docs")
    for name in ("paper", "nobody"):
        with pytest.raises(ValueError, match="is no experiment"):
            atlas_results.take(name, results, tmp_path / "docs")
    with pytest.raises(FileNotFoundError):
        atlas_results.take("exact-step", results, tmp_path / "docs")
    assert not (tmp_path / "docs").exists()


def test_a_small_limit_takes_fewer_repeats_and_says_so(results, tmp_path):
    rows, _ = measures.LAYOUT.read(results / "unified-kernel")
    limit = (
        len(atlas_tables.written(rows, Form({"nc1": 6}, 6, largest=True, ditto=True)).encode()) + 1
    )
    atlas_results.take("unified-kernel", results, tmp_path, limit)
    atlas_pages.main(["--docs", str(tmp_path)])
    page = (tmp_path / "unified-kernel.md").read_text(encoding="utf-8")
    assert "the first 6 of up to 7 repeats" in page
    assert "rounded up to two digits" in page
    assert f"of {len(rows)} rows" in page


def test_sources_are_linked_and_escaped():
    assert cited("A & B, arXiv 2302.00205") == (
        'A &amp; B, arXiv <a href="https://arxiv.org/abs/2302.00205">2302.00205</a>'
    )
