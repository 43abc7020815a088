"""The library of studies: a toy study and a toy kind of model, one line each, from their YAML to
their report.
"""

from __future__ import annotations

import dataclasses
import json
from typing import ClassVar

import numpy as np
import pytest
from tests.measure_rows import row as measured_row

import nc1fast as nc
from nc1fast import studies
from nc1fast.studies import figures, library, measures, report, table, tasks
from nc1fast.studies.fields import Positive  # noqa: TC001  (pydantic reads it)
from nc1fast.studies.findings.compare import compare
from nc1fast.studies.findings.finding import Comparison, Sentence
from nc1fast.studies.summary import distinct, select
from nc1fast.studies.tasks.rows import ModelColumns, measured
from nc1fast.studies.tasks.task import Outcome, Section

DESCRIPTION = """
name: toy
title: A toy study
preset: quick
repeats: 2
arms:
  - name: pair
    data: [{source: gaussian_mixture, name: pair, means: [-2, 2], stds: 0.5, n_samples: [16],
          n_features: [2, 3]}]
    kernels: [{kernel: NNGP, activation: erf}]
    rbf:
      - {length: 2.0}
      - {length: 5.0, repeats: 1, datasets: [pair], largest: 16}
"""


class GaussianKernel(Section):
    """A kind of model that nc1fast does not have; the section of an arm is its own task."""

    length: Positive

    libraries: ClassVar[tuple[str, ...]] = ()
    chance: ClassVar[bool] = False

    @property
    def name(self):
        return f"rbf {self.length:g}"

    def tasks(self):
        return (self,)

    def n_rows(self, conventions):
        return len(conventions)

    def seconds(self, n_samples, n_features):
        return 1e-9 * n_samples**2 * n_features

    def compute(self, data):
        answer, seconds = data.collapse(lambda x, z: gaussian(x, z, self.length))
        named = ModelColumns("rbf", noise=self.length)
        return Outcome(measured(named, answer, data.conventions, seconds))


def gaussian(x, z, length):
    squares = ((x[:, None, :] - z[None, :, :]) ** 2).sum(axis=-1)
    return np.exp(-squares / (2 * length**2))


def longer_against_shorter(rows):
    long, short = (select(rows, model="rbf", noise=length) for length in (5.0, 2.0))
    return compare(short, long, ("noise",))


TOY = Comparison(
    "toy",
    "A toy finding",
    "NC1(length 2) >= NC1(length 5).",
    "NC1/NC1",
    longer_against_shorter,
    (Sentence("It {count}."),),
)


def test_measures_of_an_earlier_version_are_read(tmp_path):
    earlier = dataclasses.replace(measures.LAYOUT, name="measures")
    earlier.write([measured_row(0.5, "nc1")], tmp_path, {"study": "exact-step"})
    for name in ("measures.parquet", "measures.csv"):
        found = report.layout_of(tmp_path)
        assert found == earlier
        assert found.read(tmp_path)[0][0]["value"] == 0.5
        (tmp_path / name).unlink()
    assert report.layout_of(tmp_path) == table.LAYOUT


@pytest.fixture
def toy(tmp_path, monkeypatch):
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "quick.yml").write_text(DESCRIPTION)
    monkeypatch.setitem(tasks.SECTIONS, "rbf", GaussianKernel)
    study = library.BuiltIn(folder, sections=lambda rows: [("Toys", [TOY.finding(rows)])])
    monkeypatch.setitem(library.STUDIES, "toy", study)
    return study


def test_a_toy_study_goes_from_its_folder_to_its_report(toy, tmp_path):
    assert studies.built_in()["paper"] == ["paper", "quick"]
    assert studies.built_in()["toy"] == ["quick"]
    study = studies.load("toy")
    plan = studies.plan(study)
    assert distinct([{"task": cell.task.name} for cell in plan], "task") == [
        "kernels",
        "rbf 2",
        "rbf 5",
    ]
    result = studies.run(study, tmp_path / "out")
    assert len(result.rows) == sum(cell.n_rows for cell in plan) == 2 * (2 * (2 + 1) + 1)
    assert {row["status"] for row in result.rows} == {"ok"}
    for cell in studies.plan(study, ["task=rbf"]):
        X, y = cell.draw().X, cell.draw().y
        assert isinstance(cell.task, GaussianKernel)
        length = cell.task.length
        expected = nc.collapse(gaussian(X, X, length), y, "precomputed", convention="papyan").nc1
        some = {"model": "rbf", "noise": length, "d0": X.shape[1], "repeat": cell.repeat}
        [row] = select(studies.read(tmp_path / "out")[0], **some)
        assert row["nc1"] == pytest.approx(expected, rel=1e-9)

    again = studies.load(tmp_path / "out" / "settings.yaml")
    assert [cell.id for cell in again.cells()] == [cell.id for cell in plan]
    about = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (about["study"], about["cells"]) == ("toy", f"{len(plan)} of {len(plan)}")
    assert about["seconds"] > 0
    assert {"version", "numpy", "date"} <= about.keys()
    html = report.build(tmp_path / "out").read_text()
    assert "<h1>A toy study</h1>" in html
    assert "A toy finding" in html
    told = TOY.finding(result.rows)
    assert told.sentences[0] in html
    assert 'class="claims"' not in html  # it makes no claims
    assert "NTK is not more collapsed" not in html  # nor those of another study
    names = [d.name for d in figures.draw(result.rows, result.series) if not d.aside]
    assert [name for name in names if f'id="figure-{name}"' not in html] == []
    assert names


def test_a_registered_kind_of_model_is_checked_like_every_other(toy):
    with pytest.raises(ValueError, match=r"line 12: arms.0.rbf.0.length: .*greater than 0, got -2"):
        studies.parse(DESCRIPTION.replace("length: 2.0", "length: -2"))
    with pytest.raises(ValueError, match=r"lenght: .*did you mean 'length'"):
        studies.parse(DESCRIPTION.replace("{length: 2.0}", "{lenght: 2.0}"))
    with pytest.raises(ValueError, match=r"models of pair must differ"):
        studies.parse(DESCRIPTION.replace("length: 5.0", "length: 2.0"))


def test_without_its_line_the_kind_of_model_is_unknown():
    with pytest.raises(ValueError, match=r"line 11: arms.0.rbf: there is no such key"):
        studies.parse(DESCRIPTION)


def test_a_study_that_says_nothing_more_is_told_by_the_common_kit(tmp_path):
    plain = library.BuiltIn(tmp_path)
    assert plain.presets() == []
    assert plain.claims([]) == []
    assert plain.draw([], []) == []


def test_a_study_of_the_user_is_told_as_one_of_data():
    for name in ("paper", ""):  # a bare CSV file has no name
        assert library.told_as(name) is library.STUDIES["paper"]
    for name in ("mine", "data"):
        assert library.told_as(name) is library.STUDIES["data"]
