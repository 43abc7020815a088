"""The report: from the tables alone, self-contained, complete, accessible, the same each time."""

from __future__ import annotations

import base64
import gzip
import html as _html
import itertools
import math
import re
import shutil
import urllib.parse
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.claim_rows import data, on
from tests.study_rows import annealing, drawings, over_features

from nc1fast import studies
from nc1fast.studies import figures, library, report, table
from nc1fast.studies import page as page_parts
from nc1fast.studies.findings.finding import Answer, AnswerCell, AnswerRow, AnswerTable
from nc1fast.studies.library import paper
from nc1fast.studies.library.paper import claims

TINY = """
name: paper
title: A <tiny> study
preset: quick
provisional: true
repeats: 2
arms:
  - name: balanced
    data:
      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [16],
            n_features: [1, 3]}
    theory: true
    kernels:
      - {kernel: NNGP, activation: erf}
      - {kernel: NTK, activation: erf}
      - {kernel: compat.released.erf_ntk}
    networks: [{activation: erf, width: 20, epochs: 5}]
    adaptive: [{noise: 1.0e-2}]
    illustrate: [{dataset: D1, n_features: [3], show: [training]}]
  - name: unequal
    data: [{source: gaussian_mixture, name: U, means: [6, -0.5], stds: 0.5, sizes: [[20, 200]],
          n_features: [2]}]
    kernels: [{kernel: NNGP, activation: relu}]
    conventions: [papyan, released]
"""
OWN = library.told_as("paper")
VOID = {"meta", "link", "img", "br", "col", "input", "hr"}


OPTIONAL = {"td", "tr"}  # elements whose end HTML lets out


class Page(HTMLParser):
    """Elements of a page, and whether every one that is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.open = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        while (
            tag in OPTIONAL and self.open[-1] in OPTIONAL and (tag == "tr" or self.open[-1] == "td")
        ):
            self.open.pop()
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        while tag not in OPTIONAL and self.open[-1] in OPTIONAL:
            self.open.pop()
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("report")
    studies.run(studies.parse(TINY), path, provenance={"command": "nc1fast study tiny.yml --out ."})
    report.build(path)
    return path


@pytest.fixture(scope="module")
def html(folder):
    return (folder / report.REPORT).read_text()


@pytest.fixture(scope="module")
def rows(folder):
    return table.read(folder)[0]


def rendered(rows, provenance=None, drawn=(), images=None):
    return report.render(rows, {"study": "paper"} | (provenance or {}), drawn, images or {})


def shown(html):
    """The words of a page, blanks as one."""
    body = re.sub(r"<(style|script)>.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(_html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def plain(text):
    return " ".join(text.split())


# --- what is inside


@pytest.mark.slow
def test_every_figure_is_on_the_page_once_or_set_aside_and_all_are_files(folder, html, rows):
    drawn = OWN.draw(rows, table.read_series(folder))
    files = {path.name for path in (folder / report.FIGURES).iterdir()}
    assert files == {f"{d.name}.{kind}" for d in drawn for kind in ("png", "svg")}
    sources = [urllib.parse.unquote(a["src"].partition(",")[2]) for a in Page(html).all("img")]
    assert len(sources) == sum(not d.aside for d in drawn) > 1
    for drawing in drawn:
        assert html.count(f'id="figure-{drawing.name}"') == (not drawing.aside)
        svg = (folder / report.FIGURES / f"{drawing.name}.svg").read_text()
        assert sum(plain(source) == plain(svg) for source in sources) == (not drawing.aside)


def test_first_screen_is_the_answer_and_a_line_for_each_claim(rows):
    page = rendered(rows, {"title": "T"})
    answer = paper.STUDY.answer(rows)
    parts = [page.index(f'id="{name}"') for name in ("answer", "claims")]
    assert parts == sorted(parts)
    text = shown(page)
    for sentence in (answer.question, *answer.sentences, answer.uncertainty):
        assert plain(sentence) in text
    for one in answer.tables:
        assert one.title in text
    for claim in claims(rows):
        assert plain(claim.finding.title) in text
        assert plain(claim.number) in text
        for sentence in (claim.finding.claim, *claim.details):
            assert plain(sentence) in text
        for word, n in claim.counts.items():
            assert f"{word} {n}" in text.replace("\xa0", " ")


def an_answer():
    def cell(nc1, distance, *, nearest=False):
        return AnswerCell(nc1, nc1, nc1, distance, distance, distance, nearest)

    nothing = cell(math.nan, math.nan)
    row = AnswerRow(
        "d₀ = 8", (cell(0.05, math.nan), cell(0.051, 0.02, nearest=True), cell(0.2, 1.4), nothing)
    )
    columns = ("network at the end", "NNGP", "NTK", "mean field")
    return Answer(
        "Does it?", ("It does.", "More."), (AnswerTable("D1", columns, (row,)),), "Said so."
    )


def test_cells_of_the_answer_tell_distance_by_number_shade_and_weight():
    told = page_parts.answer(an_answer())
    [table_] = told["tables"]
    assert [name for name, _ in table_["columns"]] == ["network at the end", "NNGP", "NTK"]
    [(label, cells)] = table_["rows"]
    assert label == "d₀ = 8"
    assert [c["nc1"] for c in cells] == ["0.0500", "0.0510", "0.200"]
    assert [c["distance"] for c in cells] == ["", "0.02", "1.40"]
    assert [c["nearest"] for c in cells] == [False, True, False]
    assert cells[1]["close"] > 0.9
    assert cells[0]["close"] == cells[2]["close"] == 0


def test_provenance_stands_at_the_end(html):
    last = shown(html[html.index("<footer") :])
    for told in ("preset: quick", "seed: 0", "version:", "conventions: papyan, released"):
        assert told in last
    assert "command: nc1fast study tiny.yml --out ." in last
    assert "processor:" in last


def test_every_finding_sentence_and_caption_is_told(folder, html, rows):
    text = shown(html)
    for finding in (finding for _, found in OWN.sections(rows) for finding in found):
        for told in (finding.title, finding.claim, *finding.sentences):
            assert plain(told) in text
        assert f'id="{finding.key}"' in html
    drawn = OWN.draw(rows, table.read_series(folder))
    for number, drawing in enumerate((d for d in drawn if not d.aside), 1):
        assert plain(f"Figure {number}. {drawing.caption}") in text
    assert text.count(figures.UNCERTAINTY) == 1


def test_whole_table_is_inside(html, folder):
    [encoded] = re.findall(r'href="data:application/gzip;base64,([^"]*)"', html)
    assert gzip.decompress(base64.b64decode(encoded)) == (folder / "table.csv").read_bytes()


def test_unusual_rows_are_shown(html, rows):
    negative = [row for row in rows if row["nc1"] < 0]
    assert len(negative) == 4  # data and kernel, two repeats
    for row in negative:
        assert f"<td>{page_parts.number(row['nc1'])}</td>" in html
    assert "4 rows (data on U, NNGP relu on U): nc1 negative." in html


def test_means_are_geometric_with_the_interval_of_the_figures(rows):
    told = page_parts.cells(rows)
    lines = [dict(zip(told["columns"], line, strict=True)) for line in told["lines"]]
    [line] = [
        c
        for c in lines
        if (c["model"], c["d0"], c["parametrization"], c["state"]) == ("NTK", 3, "ntk", "")
    ]
    some = [r for r in rows if (r["model"], r["d0"], r["state"]) == ("NTK", 3, "")]
    logs = np.log([r["nc1"] for r in some if r["parametrization"] == "ntk"])
    assert line["repeats"] == len(logs) == 2
    reach = 12.7062047361747 * logs.std(ddof=1) / math.sqrt(2)  # Student's t, one degree of freedom
    for name, log in (
        ("nc1", logs.mean()),
        ("low", logs.mean() - reach),
        ("high", logs.mean() + reach),
    ):
        assert line[name] == pytest.approx(math.exp(log), rel=1e-9)


def test_data_sets_are_defined_by_the_description_and_arms_by_the_rows(folder, html, rows):
    text = shown(html)
    assert (
        "D1 source gaussian_mixture; means -2.0, 2.0; stds 0.5; 2 classes; N = 16; d₀ = 1, 3"
        in text
    )
    assert (
        "U source gaussian_mixture; means 6.0, -0.5; stds 0.5; 2 classes; N = 220; d₀ = 2" in text
    )
    assert "unequal U; data, NNGP; 2 repeats." in text
    unknown = shown(rendered(rows))
    assert "D1 2 classes; N = 16; d₀ = 1, 3" in unknown
    assert "means" not in unknown[unknown.index("Data sets") : unknown.index("Arms,")]


# --- how it is made


def test_report_fetches_nothing(html):
    page = Page(html)
    sources = [a["src"] for a in page.all("img")]
    sources += [a["href"] for a in (*page.all("a"), *page.all("link"))]
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert all("src" not in a for a in page.all("script"))
    assert "@import" not in html
    assert not re.findall(r"url\((?!%23|#)", html)


def test_page_is_well_formed_and_its_links_lead_somewhere(html):
    page = Page(html)
    assert page.open == []
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    named = {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")}
    named |= {a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a}
    assert named <= set(ids)


def test_page_can_be_read_without_eyes(html):
    page = Page(html)
    assert page.all("html") == [{"lang": "en"}]
    for landmark in ("h1", "header", "main", "nav", "footer"):
        assert len(page.all(landmark)) == 1
    assert page.all("a")[0] == {"class": "skip", "href": "#main"}
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    alts = [a["alt"] for a in page.all("img")]
    assert all(40 < len(alt) < 1500 for alt in alts)
    assert any("rises from" in alt for alt in alts)
    assert len(set(alts)) == len(alts)
    assert all(a.get("scope") in ("col", "row") for a in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    scrolled = [a for a in page.all("div") if a.get("class", "").startswith("scroll")]
    assert scrolled
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in scrolled)


def test_names_of_the_user_are_text_and_nothing_else():
    odd = "<script>alert(1)</script>\" onload='x' $x^2$ &amp;"
    rows = on(data(NNGP=1.0, NTK=2.0), dataset=odd, arm=odd)
    drawn = paper.STUDY.draw(rows, [])
    images = {d.name: figures.to_bytes(d, "svg") for d in drawn}
    html = rendered(
        rows, {"title": odd, "description": {"arms": [{"data": [{"name": odd}]}]}}, drawn, images
    )
    page = Page(html)
    assert page.open == []
    assert len(page.all("script")) == 1
    assert "<script>alert" not in html
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert shown(html).count(plain(odd)) >= 4
    assert all(plain(odd) in plain(a["alt"]) for a in page.all("img"))


@pytest.mark.slow
def test_a_large_study_has_a_report_of_less_than_three_megabytes():
    rows = [
        row
        for dataset in ("D1", "D2")
        for row in over_features(
            dataset=dataset, repeats=10, sizes=tuple(f"{n}:{n}" for n in range(64, 74))
        )
    ]
    rows += on(rows, arm="other")
    assert len(rows) > 16_000
    drawn = [d for d in drawings().values() if not d.aside]
    images = {d.name: figures.to_bytes(d, "svg") for d in drawn}
    assert len(rendered(rows, {}, drawn, images).encode()) < 3_000_000


def test_provisional_study_has_a_banner(html, rows):
    assert "verdicts may change" in html
    assert "verdicts may change" not in rendered(rows, {"title": "settled", "provisional": False})


def test_columns_that_are_everywhere_the_same_are_left_out():
    page = rendered([*data(NNGP=1.0, NTK=2.0), *on(data(NNGP=1.0, NTK=2.0), N=256)])
    [header] = re.findall(r"Cells: The NTK is not more.*?<thead><tr>(.*?)</tr>", page, re.DOTALL)
    named = re.findall(r">([^<]+)</th>", header)
    assert named[:3] == ["N", "d0", "verdict"]


# --- from the tables alone


@pytest.mark.slow
def test_report_can_be_built_again_from_the_csv_alone(folder, tmp_path, html):
    for name in ("table.csv", "series.csv"):
        shutil.copy(folder / name, tmp_path)
    again = report.build(tmp_path).read_text()
    assert "No provenance is recorded" in again
    assert [a["alt"] for a in Page(again).all("img")] == [a["alt"] for a in Page(html).all("img")]
    assert report.build(tmp_path).read_text() == again  # the same, byte by byte


@pytest.mark.slow
def test_series_are_drawn_where_there_are_some(folder, tmp_path):
    shutil.copy(folder / "table.csv", tmp_path)
    without = report.build(tmp_path).read_text()
    assert 'id="figure-annealing"' not in without
    table.SERIES.write(annealing(), tmp_path, {})
    assert 'id="figure-annealing"' in report.build(tmp_path).read_text()


def test_empty_table_is_refused(folder, tmp_path):
    header = (folder / "table.csv").read_text().splitlines()[0]
    (tmp_path / "table.csv").write_text(header + "\n")
    with pytest.raises(ValueError, match="no rows"):
        report.build(tmp_path)


def test_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"table\.parquet"):
        report.build(tmp_path)
