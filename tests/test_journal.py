"""Journals: what is finished is kept, what is damaged is done again, what does not belong is
refused; of a pass, and of `nc1fast.support.journal` itself.
"""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from tests import long_pass, plans
from tests.full_disk import files_of_at_most
from tests.long_pass import recorded

import nc1fast as nc
from nc1fast import distributed
from nc1fast.distributed import shares as bundles
from nc1fast.support import journal as journals
from nc1fast.support.files import checksum
from nc1fast.support.journal import Journal

RELU = nc.NNGP("relu")
BUNDLES = 6


@pytest.fixture(scope="module")
def data():
    return long_pass.data(500)


@pytest.fixture(scope="module")
def expected(data):
    return long_pass.digest([nc.class_sums(*data, RELU)])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.journal"


def _run(data, path, *, until=None, kernels=(RELU,), **settings):
    """The digest of a pass, and how many bundles were there before; stops after `until` bundles."""
    states = []

    def progress(done, total):
        states.append(done)
        if done == until:
            raise KeyboardInterrupt

    plan = plans.uncalibrated(*data, list(kernels), BUNDLES, **settings)
    found = distributed.reduce(plan, journal=path, progress=progress)
    assert states == list(range(states[0], BUNDLES + 1))
    return long_pass.digest(found), states[0]


def _begin(data, path, until=4, **settings):
    with pytest.raises(KeyboardInterrupt):
        _run(data, path, until=until, **settings)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def _change(path, statement, *values):
    """Change a journal beneath the package."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement, values)


def _change_head(path, text):
    _change(path, "UPDATE head SET content = ?, checksum = ?", text, checksum(text.encode()))


# --- a pass that goes on ---


@pytest.mark.parametrize("until", range(BUNDLES))
def test_interrupted_pass_goes_on(data, path, expected, until):
    _begin(data, path, until)
    assert len(recorded(path)) == until
    assert _run(data, path) == (expected, until)
    assert _run(data, path) == (expected, BUNDLES)


def test_collapse_goes_on_from_its_journal(data, path):
    kernels = [RELU, nc.NTK("erf")]
    expected = nc.collapse(*data, kernels, convention="papyan")
    seen = []
    for executor in (None, ThreadPoolExecutor(2)):
        settings = {"convention": "papyan", "journal": path, "executor": executor}
        settings["progress"] = lambda done, total: seen.append(done == total)
        found = nc.collapse(*data, kernels, **settings)
        assert [r.nc1 for r in found] == [r.nc1 for r in expected]
    assert seen[-2:] == [True, True]  # the second call begins at its end
    executor.shutdown()


def test_another_number_of_bundles_is_that_of_the_journal(data, path, expected):
    _begin(data, path)
    found = distributed.reduce(plans.uncalibrated(*data, [RELU], 11), journal=path)
    assert long_pass.digest(found) == expected
    assert len(recorded(path)) == BUNDLES


@pytest.mark.parametrize("n_workers", [None, 2])
def test_deleted_data_keep_what_was_finished(data, path, expected, n_workers, tmp_path):
    X, y = data
    rows = tmp_path / "X.npy"
    np.save(rows, X)

    def progress(done, total):
        if done == 2:
            rows.rename(tmp_path / "gone.npy")

    with ThreadPoolExecutor(n_workers or 1) as pool:
        executor = None if n_workers is None else pool
        plan = plans.uncalibrated(rows, y, [RELU], 20, executor)
        with pytest.raises(FileNotFoundError, match=r"X\.npy"):
            distributed.reduce(plan, executor, journal=path, progress=progress)
        assert len(recorded(path)) >= 2
        (tmp_path / "gone.npy").rename(rows)
        found = distributed.reduce(plan, executor, journal=path)
    assert long_pass.digest(found) == expected


# --- damage, and journals of something else ---


@pytest.mark.parametrize(
    "change",
    [
        *("payload = substr(payload, 1, 100)", "payload = NULL", "payload = 'text'"),
        *("key = '7'", "checksum = NULL"),
    ],
)
def test_damaged_record_is_done_again(data, path, expected, change):
    _begin(data, path)
    _change(path, f"UPDATE finished SET {change} WHERE key = '2'")
    with pytest.warns(UserWarning, match="1 damaged records"):
        assert _run(data, path) == (expected, 3)
    assert _run(data, path) == (expected, BUNDLES)  # without a warning


def test_record_that_is_there_twice_counts_once(data, path, expected):
    _begin(data, path)
    with closing(Journal(path, {})) as journal:
        journal.add("other", dict(journal.records())["2"])
    assert _run(data, path) == (expected, 4)


def test_damaged_file_is_refused(data, path):
    _begin(data, path)
    _change(path, "UPDATE head SET content = replace(content, 'problems', 'Problems')")
    with pytest.raises(ValueError, match=r"run\.journal is damaged in its head"):
        _run(data, path)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"run\.journal is damaged: "):
        _run(data, path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kernels": [nc.NTK("relu")]}, "kernels"),
        ({"kernels": [RELU, RELU]}, "kernels"),
        ({"dtype": "float32"}, "dtype"),
        ({"statistics": "sums"}, "statistics"),
        ({"X": 1}, "X or y"),
        ({"y": 1}, "X or y"),
        ({"n": 499}, "shape"),
    ],
    ids=str,
)
def test_journal_of_another_problem_is_refused(data, path, change, named):
    _begin(data, path)
    before = path.read_bytes()
    X, y = data[0].copy(), data[1].copy()
    if "X" in change:
        X[3, 2] = np.nextafter(X[3, 2], 1)
    if "y" in change:
        y[0] = "bee" if y[0] != "bee" else "cat"
    n = change.get("n", len(X))
    settings = {name: change[name] for name in ("kernels", "dtype", "statistics") if name in change}
    with pytest.raises(ValueError, match=rf"another problem \(.*{named}"):
        _run((X[:n], y[:n]), path, **settings)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(({"bundles": n}, "says that there are .* bundles") for n in (0, -1, 10**9, 501)),
        *(({"bundles": n}, "says that there are .* bundles") for n in (2.5, True, "6", None, [6])),
        *(
            ({name: value}, f"another problem .*{name}")
            for name, value in (("shape", [500, 7]), ("isa", "z80"), ("more", 1), ("dtype", None))
        ),
    ],
    ids=str,
)
def test_heads_that_this_call_would_not_write_are_refused(data, path, change, message):
    _begin(data, path)
    with closing(Journal(path, {})) as journal:
        head = journal.head
    _change_head(path, json.dumps({**head, **change}))
    with pytest.raises(ValueError, match=rf"run\.journal .*{message}"):
        _run(data, path)


@pytest.mark.parametrize("content", ["[]", "[" * 100_000, "null", "1" * 10_000, "{"])
def test_heads_that_are_no_dict_are_refused(data, path, content):
    _begin(data, path)
    _change_head(path, content)
    with pytest.raises(ValueError, match=r"run\.journal") as caught:
        _run(data, path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: replace(one, covered=frozenset({BUNDLES})), "parts covered"),
        (lambda one: replace(one, covered=frozenset()), "parts covered"),
        (lambda one: replace(one, problem="another"), "a record of another problem"),
        (lambda one: replace(one, block=one.block[:2]), "block must be int64"),
        (lambda one: replace(one, block=one.block.astype("f8")), "block must be int64"),
        (lambda one: replace(one, spans=one.spans + 10_000), "spans of rows must ascend"),
        (lambda one: replace(one, spans=-one.spans), "spans of rows must ascend"),
        (lambda one: replace(one, rows=one.rows[:, 1:]), "rows must be int64"),
        (lambda one: replace(one, exponent=one.exponent + 1), "same exponents"),
    ],
)
def test_records_that_no_bundle_gives_are_refused(data, path, change, message):
    _begin(data, path)
    with closing(Journal(path, {})) as journal:
        first, *rest = journal.records()
        shares = bundles.decoded(first[1])
        journal.replace([("0", bundles.encoded([change(one) for one in shares])), *rest])
    with pytest.raises(ValueError, match=rf"run\.journal.*{message}"):
        _run(data, path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"xy", "not a journal"),
        (b"PK\x03\x04 data", "not a journal"),
        (b"\n\n", "not a journal"),
        (b"nc1fast journal 2 0123 {}\n", "of an earlier version .*: start again"),
        (b'{"format": 2, "fingerprint": "f"}\n', "of an earlier version .*: start again"),
    ],
)
def test_other_files_are_refused_and_left_alone(data, path, content, message):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        _run(data, path)
    assert path.read_bytes() == content


def test_other_databases_are_refused_and_left_alone(data, path):
    _change(path, "CREATE TABLE mine (x)")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not a journal"):
        _run(data, path)
    assert path.read_bytes() == before
    path.unlink()
    _begin(data, path)
    _change(path, "PRAGMA user_version = 99")
    with pytest.raises(ValueError, match="another version of nc1fast, of format 99"):
        _run(data, path)


def test_two_runs_at_once_are_refused(data, path):
    def progress(done, total):
        if done == 2:
            with pytest.raises(ValueError, match="another run is writing"):
                _run(data, path)

    distributed.reduce(plans.uncalibrated(*data, [RELU], BUNDLES), journal=path, progress=progress)


def test_journal_in_a_folder_that_is_not_there(data, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        _run(data, tmp_path / "nowhere" / "journal")
    journals.set_aside(tmp_path / "nowhere" / "journal")  # nothing to do


# --- a full disk ---


def _full(journal, how, act):
    """Let an action meet a full disk: no room in the file, or none that the system grants."""
    if how == "pages":
        journal._db.execute("PRAGMA max_page_count = 1")  # as many as it has
        with pytest.raises(OSError, match=r"No space left.*is kept.*run\.journal"):
            act()
        journal._db.execute("PRAGMA max_page_count = 1000000")
        return
    with files_of_at_most(4096), pytest.raises(OSError, match=r"is kept.*run\.journal"):
        act()


@pytest.mark.parametrize("how", ["pages", "system"])
def test_full_disk_keeps_what_was_recorded(path, how):
    kept = {f"{k}": bytes([k]) * 3_000 for k in range(8)}
    with closing(Journal(path, {})) as journal:
        for key, payload in kept.items():
            journal.add(key, payload)
        _full(journal, how, lambda: journal.add("more", b"x" * 100_000))
        _full(journal, how, lambda: journal.replace([("all", b"x" * 200_000)]))
        assert dict(journal.records()) == kept
        journal.add("8", b"after")
    assert dict(recorded(path)) == {**kept, "8": b"after"}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_full_disk_in_a_pass(data, path, expected):
    _begin(data, path, 3)
    before = recorded(path)
    with files_of_at_most(4096), pytest.raises(OSError, match=r"is kept.*run\.journal"):
        _run(data, path)
    assert recorded(path) == before
    assert _run(data, path) == (expected, 3)


# --- records added up into one ---


def test_a_journal_stays_near_the_size_of_its_sums(data, path, expected, monkeypatch):
    monkeypatch.setattr(bundles, "_REWRITE", 0)
    monkeypatch.setattr(bundles, "_GROWTH", 0)
    _begin(data, path)
    ((_, whole),) = recorded(path)  # four bundles in one
    assert _run(data, path) == (expected, 4)
    path.unlink()
    monkeypatch.setattr(bundles, "_GROWTH", 2)
    distributed.reduce(plans.uncalibrated(*data, [RELU], 20), journal=path)
    # and not 20 / sqrt(20) times 1.65; some pages of 4,096 bytes are those of the tables
    assert path.stat().st_size <= 4 * len(whole) + 16 * 4096
