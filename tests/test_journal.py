"""The journal of a pass: what is finished is kept, what is damaged is done again, what does not
belong is refused.
"""

from __future__ import annotations

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from tests import long_pass, plans

import nc1fast as nc
from nc1fast import distributed
from nc1fast.distributed import bundle_journal as records
from nc1fast.support.line_file import LineFile

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
    told = []

    def progress(done, total):
        told.append(done)
        if done == until:
            raise KeyboardInterrupt

    plan = plans.uncalibrated(*data, list(kernels), BUNDLES, **settings)
    found = distributed.reduce(plan, journal=path, progress=progress)
    assert told == list(range(told[0], BUNDLES + 1))
    return long_pass.digest(found), told[0]


def _begin(data, path, until=4, **settings):
    with pytest.raises(KeyboardInterrupt):
        _run(data, path, until=until, **settings)


@pytest.mark.parametrize("until", range(BUNDLES))
def test_interrupted_pass_goes_on(data, path, expected, until):
    _begin(data, path, until)
    assert _run(data, path) == (expected, until)
    assert _run(data, path) == (expected, BUNDLES)


def test_collapse_goes_on_from_its_journal(data, path):
    kernels = [RELU, nc.NTK("erf")]
    expected = nc.collapse(*data, kernels, convention="papyan")
    seen = []
    for executor in (None, ThreadPoolExecutor(2)):
        found = nc.collapse(
            *data,
            kernels,
            convention="papyan",
            journal=path,
            executor=executor,
            progress=lambda done, total: seen.append(done == total),
        )
        assert [r.nc1 for r in found] == [r.nc1 for r in expected]
    assert seen[-2:] == [True, True]  # the second call begins at its end
    executor.shutdown()


def test_another_number_of_bundles_is_that_of_the_journal(data, path, expected):
    _begin(data, path)
    found = distributed.reduce(plans.uncalibrated(*data, [RELU], 11), journal=path)
    assert long_pass.digest(found) == expected
    assert len(path.read_bytes().splitlines()) == 1 + BUNDLES


def test_cut_anywhere_in_its_last_record(data, path, expected):
    _begin(data, path)
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, len(whole) - 1) + 1
    for end in (last + 1, last + 40, (last + len(whole)) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        assert _run(data, path) == (expected, 3)


def test_cut_in_its_first_line(data, path, expected):
    _begin(data, path)
    first = path.read_bytes().index(b"\n")
    for end in (0, 5, 40, first):
        path.write_bytes(path.read_bytes()[:end])
        assert _run(data, path) == (expected, 0)


@pytest.mark.parametrize("record", range(1, 5))
def test_damaged_record_is_done_again(data, path, expected, record):
    _begin(data, path)
    lines = path.read_bytes().split(b"\n")
    middle = len(lines[record]) // 2
    lines[record] = lines[record][:middle] + b"?" + lines[record][middle + 1 :]
    path.write_bytes(b"\n".join(lines))
    with pytest.warns(UserWarning, match="1 damaged records"):
        assert _run(data, path) == (expected, 3)
    assert _run(data, path) == (expected, BUNDLES)  # without a warning


def test_record_that_is_there_twice_counts_once(data, path, expected):
    _begin(data, path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[2]]))
    assert _run(data, path) == (expected, 4)


def test_damaged_first_line_is_refused(data, path):
    _begin(data, path)
    damaged = path.read_bytes().replace(b"problems", b"Problems", 1)
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"run\.journal is damaged in its first line"):
        _run(data, path)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    ("change", "told"),
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
def test_journal_of_another_problem_is_refused(data, path, change, told):
    _begin(data, path)
    before = path.read_bytes()
    X, y = data[0].copy(), data[1].copy()
    if "X" in change:
        X[3, 2] = np.nextafter(X[3, 2], 1)
    if "y" in change:
        y[0] = "bee" if y[0] != "bee" else "cat"
    n = change.get("n", len(X))
    settings = {name: change[name] for name in ("kernels", "dtype", "statistics") if name in change}
    with pytest.raises(ValueError, match=rf"another problem \(.*{told}"):
        _run((X[:n], y[:n]), path, **settings)
    assert path.read_bytes() == before


@pytest.mark.parametrize("bundles", [0, -1, 10**9, 501, 2.5, True, "6", None, [6]])
def test_bundles_that_no_pass_has_are_refused(data, path, bundles):
    _begin(data, path)
    first, *rest = path.read_bytes().split(b"\n")
    head = {**json.loads(first.removeprefix(records._MAGIC)[33:]), "bundles": bundles}
    first = records._MAGIC + records._sealed(json.dumps(head).encode())
    path.write_bytes(b"\n".join([first, *rest]))
    with pytest.raises(ValueError, match=r"run\.journal says that there are .* bundles"):
        _run(data, path)


def test_heads_that_this_call_would_not_write_are_refused(data, path):
    _begin(data, path)
    first, *rest = path.read_bytes().split(b"\n")
    head = json.loads(first.removeprefix(records._MAGIC)[33:])
    for change in ({"shape": [500, 7]}, {"isa": "z80"}, {"more": 1}, {"dtype": None}):
        changed = json.dumps({**head, **change}).encode()
        line = records._MAGIC + records._sealed(changed)
        path.write_bytes(b"\n".join([line, *rest]))
        with pytest.raises(ValueError, match=f"another problem .*{next(iter(change))}"):
            _run(data, path)
    for content in (b"[]", b"[" * 100_000, b"null", b"1" * 10_000):
        path.write_bytes(b"\n".join([records._MAGIC + records._sealed(content), *rest]))
        with pytest.raises(ValueError, match=r"run\.journal") as caught:
            _run(data, path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
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
def test_records_that_no_bundle_gives_are_refused(data, path, change, told):
    _begin(data, path)
    first, record, *rest = path.read_bytes().split(b"\n")
    shares = records._decoded(records._unsealed(record))
    changed = records._sealed(records._encoded([change(one) for one in shares]))
    path.write_bytes(b"\n".join([first, changed, *rest]))
    with pytest.raises(ValueError, match=rf"run\.journal.*{told}"):
        _run(data, path)


@pytest.mark.parametrize("content", [b"x", b"PK\x03\x04 data", b"nc1fast is\n", b"\n\n"])
def test_other_files_are_refused_and_left_alone(data, path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a journal"):
        _run(data, path)
    assert path.read_bytes() == content


def test_two_runs_at_once_are_refused(data, path):
    def progress(done, total):
        if done == 2:
            with pytest.raises(ValueError, match="another run is writing"):
                _run(data, path)

    distributed.reduce(plans.uncalibrated(*data, [RELU], BUNDLES), journal=path, progress=progress)


def test_journal_in_a_folder_that_is_not_there(data, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        _run(data, tmp_path / "nowhere" / "journal")


# --- disks and files that go ---


@pytest.mark.parametrize("written", [0, 100])
def test_full_disk_keeps_what_was_finished(data, path, expected, written, monkeypatch):
    _begin(data, path, 3)
    before = path.read_bytes()
    write, left = os.write, [written]

    def full(file, rest):
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(file, rest[: left[0]])
        left[0] -= done
        return done

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match=r"No space left.*run\.journal"):
            _run(data, path)
    assert path.read_bytes() == before
    assert _run(data, path) == (expected, 3)


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
        assert len(path.read_bytes().splitlines()) >= 1 + 2
        (tmp_path / "gone.npy").rename(rows)
        found = distributed.reduce(plan, executor, journal=path)
    assert long_pass.digest(found) == expected


# --- records added up into one ---


def test_long_journals_are_rewritten(data, path, expected, monkeypatch):
    monkeypatch.setattr(records, "_REWRITE", 1)
    monkeypatch.setattr(records, "_GROWTH", 0)
    _begin(data, path)
    assert len(path.read_bytes().splitlines()) == 2  # the first line, four bundles in one
    assert _run(data, path) == (expected, 4)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_journal_stays_near_the_size_of_its_sums(data, path, expected, monkeypatch):
    monkeypatch.setattr(records, "_REWRITE", 0)
    sizes: list[list[int]] = []
    for growth in (2, 0):
        monkeypatch.setattr(records, "_GROWTH", growth)
        sizes.append([])
        path.unlink(missing_ok=True)
        plan = plans.uncalibrated(*data, [RELU], 20)
        distributed.reduce(
            plan, journal=path, progress=lambda *_: sizes[-1].append(path.stat().st_size)
        )
    whole = sizes[1][-1]  # rewritten after the last bundle
    assert len(sizes[0]) == len(sizes[1]) >= 20
    assert max(sizes[0]) <= 4 * whole  # and not 20 / sqrt(20) times 1.65


def test_killed_while_it_was_rewritten(data, path, expected):
    _begin(data, path)
    path.with_name(f"{path.name}.new").write_bytes(path.read_bytes()[:300])
    assert _run(data, path) == (expected, 4)


def test_full_disk_while_it_is_rewritten(data, path, expected, monkeypatch):
    _begin(data, path)
    before = path.read_bytes()
    file = LineFile(path)

    def lines():
        yield b"new"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        file.replace(lines())
    file.close()
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert _run(data, path) == (expected, 4)
