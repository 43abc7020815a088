"""The study of docs/new-study.md is a file that runs as it stands."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from nc1fast import studies
from nc1fast.studies import library, report
from nc1fast.studies.findings import rules

PAGE = Path(__file__).resolve().parent.parent / "docs" / "new-study.md"
NAME, MODULE = "depth-of-nngp", "depth_of_nngp"


@pytest.fixture
def text():
    [block] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return block


def test_it_is_short(text):
    assert len(text.splitlines()) <= 60
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("jobs", [1, 2])
def test_it_runs(text, jobs, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    (tmp_path / f"{MODULE}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)  # of another folder
    module = importlib.import_module(MODULE)
    monkeypatch.setitem(library.STUDIES, NAME, module.STUDY)
    assert module.STUDY.presets() == ["full", "quick"]
    assert len(studies.load(NAME, "full").cells()) == 30
    folder = tmp_path / "out"
    result = studies.run(studies.load(NAME), folder, jobs=jobs)
    assert (result.n_failed, len(result.rows)) == (0, 2 * 3 * 4)
    [claim] = module.STUDY.claims(result.rows)
    assert (claim.letter, claim.finding.verdict) == ("DN1", rules.HOLDS)
    page = report.build(folder).read_text(encoding="utf-8")
    assert "Depth collapses less" in page
    assert (folder / "figures" / "depth.svg").stat().st_size > 0
