"""The report: from the tables alone, self-contained, complete, accessible, the same each time."""

from __future__ import annotations

import base64
import gzip
import html as _html
import re
import shutil
from html.parser import HTMLParser

import pytest
from tests.claim_rows import data, on
from tests.study_rows import annealing

from nc1fast import studies
from nc1fast.studies import figures, report, series, table
from nc1fast.studies.library.paper import claims, findings

TINY = """
name: tiny
title: A <tiny> study
preset: quick
provisional: true
repeats: 2
arms:
  - name: balanced
    data:
      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [16], n_features: [1, 3]}
    theory: true
    kernels:
      - {kernel: NNGP, activation: erf}
      - {kernel: NTK, activation: erf}
      - {kernel: compat.released.erf_ntk}
    networks: [{activation: erf, width: 20, epochs: 5}]
    adaptive: [{noise: 1.0e-2}]
    illustrate: [{dataset: D1, n_features: [3], show: [training]}]
  - name: unequal
    data: [{source: gaussian_mixture, name: U, means: [6, -0.5], stds: 0.5, sizes: [[20, 200]], n_features: [2]}]
    kernels: [{kernel: NNGP, activation: relu}]
    conventions: [papyan, released]
"""
VOID = {"meta", "link", "img", "br", "col", "input", "hr"}


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
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
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


def rendered(rows, provenance=None, drawings=(), images=None):
    return report.render(rows, provenance or {}, drawings, images or {})


# --- what is inside


@pytest.mark.slow
def test_every_figure_is_inside_once_and_as_a_file(folder, html, rows):
    names = [d.name for d in figures.draw(rows, series.read(folder))]
    assert "overview" in names
    files = {path.name for path in (folder / report.FIGURES).iterdir()}
    assert files == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    for name in names:
        svg = (folder / report.FIGURES / f"{name}.svg").read_bytes()
        assert html.count(base64.b64encode(svg).decode()) == 1
        assert html.count(f'id="figure-{name}"') == 1


def test_first_screen_is_one_figure_the_claims_and_where_they_come_from(html, rows):
    first = html[html.index("<h1>") : html.index("How to read this")]
    assert first.count("<img") == 1
    assert first.index('id="figure-overview"') < first.index('class="claims"')
    text = re.sub(r"<[^>]+>", " ", first)
    for claim in claims(rows):
        for told in (claim.finding.title, claim.finding.verdict, claim.held, claim.released):
            assert told in _html.unescape(text)
        assert claim.control in text
        assert claim.why in text
    for told in ("preset: quick", "seed: 0", "version:", "conventions: papyan, released"):
        assert told in text
    assert "command: nc1fast study tiny.yml --out ." in text
    assert "processor:" in text


def test_every_finding_sentence_and_caption_is_told(folder, html, rows):
    text = _html.unescape(html)
    for finding in findings(rows):
        for told in (finding.title, finding.claim, *finding.sentences):
            assert told in text
        assert f'id="{finding.key}"' in html
    for drawing in figures.draw(rows, series.read(folder)):
        assert drawing.caption in text


def test_whole_table_is_inside(html, folder):
    [encoded] = re.findall(r'href="data:application/gzip;base64,([^"]*)"', html)
    assert gzip.decompress(base64.b64decode(encoded)) == (folder / "table.csv").read_bytes()


def test_unusual_rows_are_shown(html, rows):
    negative = [row for row in rows if row["nc1"] < 0]
    assert len(negative) == 4  # data and kernel, two repeats
    for row in negative:
        assert f"<td>{report.number(row['nc1'])}</td>" in html
    assert "4 rows (data on U, NNGP relu on U): nc1 negative." in html


def test_means_are_those_of_the_rows(html, rows):
    some = [r for r in rows if (r["model"], r["d0"], r["state"]) == ("NTK", 3, "")]
    some = [r["nc1"] for r in some if r["parametrization"] == "ntk"]
    assert len(some) == 2
    assert f"<td>{sum(some) / 2:.4g}</td>" in html


# --- how it is made


def test_report_fetches_nothing(html):
    page = Page(html)
    sources = [a["src"] for a in page.all("img")] + [a["href"] for a in page.all("a")]
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert not page.all("script")
    assert not page.all("link")
    assert "@import" not in html
    assert "url(" not in html


def test_page_is_well_formed_and_its_links_lead_somewhere(html):
    page = Page(html)
    assert page.open == []
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")} <= set(ids)


def test_page_can_be_read_without_eyes(html):
    page = Page(html)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    alts = [a["alt"] for a in page.all("img")]
    assert all(len(alt) > 20 for alt in alts)
    assert len(set(alts)) == len(alts)
    assert all(a.get("scope") in ("col", "row") for a in page.all("th"))
    scrolled = [a for a in page.all("div") if a.get("class") == "scroll"]
    assert scrolled
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in scrolled)


def test_text_is_escaped(html):
    assert "A &lt;tiny&gt; study" in html
    assert "<tiny>" not in html


def test_provisional_study_has_a_banner(html, rows):
    assert "verdicts may change" in html
    assert "verdicts may change" not in rendered(rows, {"title": "settled", "provisional": False})


def test_a_report_without_an_overview_still_has_its_claims():
    page = rendered(data(NNGP=1.0, NTK=2.0))
    assert "<img" not in page
    assert "holds in" in page
    assert "not in this table" in page


def test_ratios_may_break_after_the_slash():
    assert report.breakable("NC1(NTK)/NC1(NNGP)") == "NC1(NTK)/\u200bNC1(NNGP)"


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
    series.write(annealing(), tmp_path, {})
    assert 'id="figure-annealing"' in report.build(tmp_path).read_text()


def test_empty_table_is_refused(folder, tmp_path):
    header = (folder / "table.csv").read_text().splitlines()[0]
    (tmp_path / "table.csv").write_text(header + "\n")
    with pytest.raises(ValueError, match="no rows"):
        report.build(tmp_path)


def test_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"table\.parquet"):
        report.build(tmp_path)
