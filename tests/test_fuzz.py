"""Readers under changes of their files: what the fuzzer has found, some files of each reader, and
that the oracle sees.

`make fuzz` goes on for as long as it is let.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.fuzz import mutations
from tests.fuzz.__main__ import run
from tests.fuzz.judging import Case
from tests.fuzz.targets import TARGETS, DisagreeError, Target

FOUND = [path for path in (Path(__file__).parent / "data/fuzz").iterdir() if path.is_dir()]
FILES = 80  # of each reader
SECONDS = 120.0
pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_changed_files_are_refused_in_one_line_or_read_as_they_say(name):
    for package in TARGETS[name].needs:
        pytest.importorskip(package)
    found = run(name, 0, 0, FILES, SECONDS)
    assert found["wrong"] == []
    assert found["counts"]["refused"] > FILES // 8
    assert sum(found["counts"].values()) == FILES


@pytest.mark.parametrize("folder", FOUND, ids=lambda folder: folder.name)
def test_what_was_found_before_is_no_more(tmp_path, folder):
    name = max((name for name in TARGETS if folder.name.startswith(f"{name}-")), key=len)
    for package in TARGETS[name].needs:
        pytest.importorskip(package)
    found = Case(name, tmp_path).verdict(next(folder.iterdir()).read_bytes())
    assert found.outcome in ("refused", "other content", "unchanged"), found.told
    assert folder.name in (folder.parent / "README.md").read_text()


# --- the oracle itself ---


def _told(monkeypatch, tmp_path, read):
    """The verdict on a reader that is not ours."""
    calls = []

    def reading(path):
        calls.append(path)
        return "whole" if len(calls) == 1 else read(path)

    def make(folder):
        (folder / "a").write_bytes(b"0123456789")
        return folder / "a"

    monkeypatch.setitem(TARGETS, "mine", Target(make, reading))
    case = Case("mine", tmp_path)
    return case.verdict(b"changed")


def _raises(error):
    def read(_path):
        raise error

    return read


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (_raises(KeyError("x")), "raw KeyError"),
        (_raises(ValueError("no name")), "unclear"),
        (_raises(UnicodeDecodeError("utf-8", b"", 0, 1, "x")), "raw UnicodeDecodeError"),
        (_raises(MemoryError()), "raw MemoryError"),
        (lambda _: bytes(np.ones(60 << 20, np.int64))[:1], "memory: "),
        (lambda path: (_ for _ in ()).throw(ValueError(f"{path}\nsecond line")), "unclear"),
    ],
)
def test_what_is_wrong_is_seen(monkeypatch, tmp_path, read, told):
    found = _told(monkeypatch, tmp_path, read)
    assert found.outcome == "wrong"
    assert told in found.told


def test_what_is_right_is_let_through(monkeypatch, tmp_path):
    assert _told(monkeypatch, tmp_path, lambda path: path.read_bytes()).outcome == "other content"
    named = lambda path: (_ for _ in ()).throw(ValueError(f"{path}: is damaged"))
    assert _told(monkeypatch, tmp_path, named).outcome == "refused"
    assert _told(monkeypatch, tmp_path, lambda _: "whole").outcome == "unchanged"
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_numbers_that_another_reading_has_not_are_wrong(tmp_path):
    case = Case("idx", tmp_path)
    X, y = case.target.read(case.path)
    with pytest.raises(DisagreeError, match="X: "):
        case.target.check(case.path, (X + 1, y))


def test_changes_are_those_of_their_number():
    content = bytes(range(256)) * 4
    found = {mutations.mutated(content, np.random.default_rng(k), (b"word",)) for k in range(300)}
    again = {mutations.mutated(content, np.random.default_rng(k), (b"word",)) for k in range(300)}
    assert found == again
    assert len(found) > 280
    assert any(b"word" in one for one in found)
    assert {len(one) > len(content) for one in found} == {True, False}
