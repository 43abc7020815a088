"""Figures and report: from the table alone, self-contained, complete, the same each time."""

from __future__ import annotations

import base64
import re
import shutil
import struct

import pytest

from nc1fast import plotting, report, studies
from nc1fast.studies.findings import findings

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
    kernels: &kernels
      - {kernel: NNGP, activation: erf}
      - {kernel: NTK, activation: erf}
      - {kernel: compat.released.erf_ntk}
  - name: unequal
    data: [{source: gaussian_mixture, name: U, means: [6, -0.5], stds: 0.5, sizes: [[20, 200]], n_features: [2, 3]}]
    kernels: [{kernel: NNGP, activation: relu}]
    conventions: [papyan, released]
  - name: depth
    data:
      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [16], n_features: [3]}
    kernels: [{kernel: NNGP, activation: erf, depth: [2, 4]}]
  - name: digits
    data: [{source: digits, n_samples: 50}]
    kernels: *kernels
"""
FIGURES = {
    "balanced-erf-nc1",
    "balanced-erf-relative-nc1",
    "balanced-ntk-over-nngp",
    "unequal-relu-nc1",
    "unequal-relu-relative-nc1",
    "depth-D1-nc1",
    "digits-digits-papyan",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("report")
    studies.run(studies.parse(TINY), path, provenance={"command": "nc1fast study tiny.yml --out ."})
    report.build(path)
    return path


@pytest.fixture(scope="module")
def html(folder):
    return (folder / report.REPORT).read_text()


def test_every_figure_is_there_as_png_and_svg(folder):
    files = {path.name for path in (folder / report.FIGURES).iterdir()}
    assert files == {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    for name in FIGURES:
        png = (folder / report.FIGURES / f"{name}.png").read_bytes()
        assert png.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", png[16:24])
        assert width >= 800
        assert height >= 400


def test_report_fetches_nothing(html):
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert len(sources) == len(FIGURES) + 1
    assert all(source.startswith("data:") for source in sources)
    assert "<script" not in html
    assert "@import" not in html


def test_report_tells_every_finding_and_every_caption(html, folder):
    rows, _ = studies.read(folder)
    from markupsafe import escape

    for finding in findings(rows):
        assert str(escape(finding.title)) in html
        for sentence in finding.sentences:
            assert str(escape(sentence)) in html
    for drawing in plotting.draw(rows):
        assert str(escape(drawing.caption)) in html


def test_report_says_where_it_comes_from(html):
    assert "A &lt;tiny&gt; study" in html
    for told in (
        "preset: quick",
        "seed: 0",
        "version:",
        "processor:",
        "conventions: papyan, released",
    ):
        assert told in html
    assert "command: nc1fast study tiny.yml --out ." in html


def test_provisional_study_has_a_banner(html, folder):
    assert "verdicts may change" in html
    rows, provenance = studies.read(folder)
    settled = report.render(rows, {**provenance, "provisional": False}, [], {})
    assert "verdicts may change" not in settled


def test_whole_table_is_inside(html, folder):
    [encoded] = re.findall(r'href="data:text/csv;base64,([^"]*)"', html)
    assert base64.b64decode(encoded) == (folder / "table.csv").read_bytes()


def test_negative_values_are_shown(html, folder):
    rows, _ = studies.read(folder)
    negative = [row for row in rows if row["nc1"] < 0]
    assert len(negative) == 4
    for row in negative:
        assert f"<td>{report.number(row['nc1'])}</td>" in html
    assert "4 rows: nc1 negative; relative_nc1 negative." in html
    svg = (folder / report.FIGURES / "unequal-relu-nc1.svg").read_text()
    assert "<!-- 2 undefined -->" in svg
    assert "without a logarithm" in html


def test_report_can_be_built_again_from_the_csv_alone(folder, tmp_path, html):
    shutil.copy(folder / "table.csv", tmp_path)
    again = report.build(tmp_path).read_text()
    assert "No provenance is recorded" in again
    images = re.findall(r'src="([^"]*)"', html)
    assert re.findall(r'src="([^"]*)"', again) == images  # the same figures, byte by byte


def test_empty_table_is_refused(folder, tmp_path):
    header = (folder / "table.csv").read_text().splitlines()[0]
    (tmp_path / "table.csv").write_text(header + "\n")
    with pytest.raises(ValueError, match="no rows"):
        report.build(tmp_path)


def test_points_are_means_and_bars_one_deviation(folder):
    import numpy as np

    rows, _ = studies.read(folder)
    [drawing] = [d for d in plotting.draw(rows) if d.name == "balanced-erf-nc1"]
    nngp, ntk = drawing.figure.axes
    assert [nngp.get_title(loc="left"), ntk.get_title(loc="left")] == ["D1: NNGP", "D1: NTK"]
    assert [len(ax.containers) for ax in (nngp, ntk)] == [1, 2]  # the released code beside the NTK
    for ax, kernel, index in (
        (nngp, "NNGP", 0),
        (ntk, "NTK", 0),
        (ntk, "compat.released.erf_ntk", 1),
    ):
        line, _, bars = ax.containers[index]
        expected = [
            [
                r["log10_nc1"]
                for r in rows
                if (r["arm"], r["kernel"], r["d0"]) == ("balanced", kernel, d0)
            ]
            for d0 in (1, 3)
        ]
        np.testing.assert_allclose(
            np.asarray(line.get_ydata(orig=False)), np.mean(expected, axis=1), rtol=1e-12
        )
        lengths = [abs(b[1, 1] - b[0, 1]) / 2 for b in bars[0].get_segments()]
        np.testing.assert_allclose(lengths, np.std(expected, axis=1), rtol=1e-9)
        assert line.get_linestyle() == ("--" if index else "-")
