"""What may be where a file is expected: links, pipes, files that change, of earlier versions, or
well-formed and not ours.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import long_pass, plans, study_rows
from tests.waiting import within

import nc1fast as nc
from nc1fast import distributed
from nc1fast.distributed.tasks import Task, shared_tasks

RELU = nc.NNGP("relu")


@pytest.fixture(scope="module")
def data():
    return long_pass.data(300)


# --- what is no regular file ---


def _pipe(path):
    os.mkfifo(path)
    return path


def _folder(path):
    path.mkdir()
    return path


def _socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return path


def _train(path):
    pytest.importorskip("torch", reason="networks (extra: torch)")
    network = nc.networks.ShallowNetwork("erf", 2, width=4, seed=0)
    nc.networks.train(
        network, *nc.datasets.paper_d1(16, 2, seed=0), epochs=1, checkpoint=path / "f"
    )


def _study(path, name):
    studies = pytest.importorskip("nc1fast.studies", reason="studies (extra: study)")
    if name == "description":
        (path / "f").rename(path / "f.yml")
        return studies.load(path / "f.yml")
    (path / "f").rename(path / name)
    return studies.read(path)


def _load_labels(path):
    np.save(path / "X.npy", X)
    nc.datasets.load(path / "X.npy", labels=(path / "f").rename(path / "y.npy"))


X, Y = np.ones((4, 2)), [0, 0, 1, 1]
READERS = {
    "X": lambda p: nc.collapse(p / "f", Y, RELU),
    "X, features": lambda p: nc.collapse(str(p / "f"), Y),
    "X, Gram": lambda p: nc.collapse(p / "f", Y, "precomputed"),
    "X, member": lambda p: nc.collapse(f"{p / 'f'}::X", Y, RELU),
    "X, pairs": lambda p: nc.estimators.pairs(p / "f", Y, RELU),
    "X, plan": lambda p: distributed.plan(p / "f", Y, RELU),
    "y": lambda p: nc.collapse(X, p / "f", RELU),
    "journal": lambda p: nc.collapse(X, Y, RELU, journal=p / "f"),
    "sums": lambda p: nc.ClassSums.load(p / "f"),
    "saved sums": lambda p: nc.class_sums(X, Y, RELU).save(p / "f"),
    "shares": lambda p: distributed.merge([p / "f"]),
    "checkpoint": _train,
    "description": lambda p: _study(p, "description"),
    "table": lambda p: _study(p, "table.parquet"),
    "table of text": lambda p: _study(p, "table.csv"),
    "loaded": lambda p: nc.datasets.load((p / "f").rename(p / "f.csv")),
    "labels": _load_labels,
}


@pytest.mark.parametrize("what", [_pipe, _socket, _folder], ids=["pipe", "socket", "folder"])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_regular_file_is_refused(tmp_path, what, reader):
    made = "f.npy" if reader == "labels" else "f"
    what(tmp_path / "f")
    if reader == "labels":
        (tmp_path / "f").rename(tmp_path / made)
    read = READERS[reader]
    if reader == "labels":
        np.save(tmp_path / "X.npy", X)
        read = lambda p: nc.datasets.load(p / "X.npy", labels=p / made)
    with within(20), pytest.raises((ValueError, OSError)) as caught:
        read(tmp_path)
    told = str(caught.value)
    assert str(tmp_path) in told
    assert "\n" not in told
    assert re.search("regular file|folder that (exists|holds nothing)|no table", told), told


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_devices_are_refused(device):
    for call in (
        lambda: nc.collapse(device, Y, RELU),
        lambda: nc.collapse(X, device, RELU),
        lambda: nc.ClassSums.load(device),
        lambda: nc.class_sums(X, Y, RELU).save(device),
    ):
        with within(20), pytest.raises(ValueError, match=rf"{device}: is not a regular file"):
            call()


def test_a_null_byte_is_no_path():
    with pytest.raises(ValueError, match=r"^X: .*no path"):
        nc.collapse("a\0b.npy", Y, RELU)


# --- links ---


def test_a_link_stays_and_its_target_is_written(data, tmp_path, monkeypatch):
    (tmp_path / "far").mkdir()
    for name in ("run.journal", "sums.npz"):
        (tmp_path / name).symlink_to(tmp_path / "far" / name)
    for name in ("_REWRITE", "_GROWTH"):  # added up after every bundle
        monkeypatch.setattr(f"nc1fast.distributed.shares.{name}", 0)
    distributed.reduce(plans.uncalibrated(*data, [RELU], 4), journal=tmp_path / "run.journal")
    sums = nc.class_sums(*data, RELU)
    for _ in range(2):
        sums.save(tmp_path / "sums.npz")
    for name in ("run.journal", "sums.npz"):
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "far" / name).stat().st_size > 500
    assert sorted(path.name for path in (tmp_path / "far").iterdir()) == ["run.journal", "sums.npz"]
    assert nc.ClassSums.load(tmp_path / "sums.npz").within.tobytes() == sums.within.tobytes()


def test_a_saved_file_is_whole_or_as_it_was(data, tmp_path, monkeypatch):
    path = tmp_path / "sums.npz"
    sums = nc.class_sums(*data, RELU)
    sums.save(path)
    path.chmod(0o640)
    before = path.read_bytes()

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sums.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["sums.npz"]
    sums.save(path)
    assert path.stat().st_mode & 0o777 == 0o640


# --- files that change ---


class Meddling:
    """Labels, or rows, that are asked for after a file has been opened: then it changes, and keeps
    its size.
    """

    def __init__(self, values, path, how):
        self.values, self.path, self.how = values, path, how

    def __array__(self, dtype=None, copy=None):
        content = self.path.read_bytes()
        if self.how == "written":
            with self.path.open("r+b") as file:
                file.seek(200)
                file.write(bytes(8))
        elif self.how == "replaced":
            self.path.unlink()
            self.path.write_bytes(content)
        now = self.path.stat().st_mtime_ns
        os.utime(self.path, ns=(now, now + (0 if self.how == "replaced" else 1_000_000)))
        return np.asarray(self.values, dtype)


CALLS = {
    "features": lambda X, y: nc.collapse(X, y, convention="papyan"),
    "kernel": lambda X, y: nc.collapse(X, y, RELU, convention="papyan"),
    "callable": lambda X, y: nc.collapse(X, y, lambda A, B: A @ B.T, convention="papyan"),
    "pairs": lambda X, y: nc.estimators.pairs(X, y, RELU, n_pairs=1000, convention="papyan"),
    "auto": lambda X, y: nc.collapse(X, y, RELU, method="auto", convention="papyan"),
    "sums": lambda X, y: nc.class_sums(X, y, RELU, part=(0, 2)),
}


@pytest.mark.parametrize("how", ["written", "replaced", "touched"])
@pytest.mark.parametrize("call", CALLS)
def test_a_file_that_changes_while_it_is_read_is_refused(data, tmp_path, call, how):
    path = tmp_path / "X.npy"
    np.save(path, data[0])
    with pytest.raises(ValueError, match=rf"^X: {re.escape(str(path))}: has changed"):
        CALLS[call](path, Meddling(data[1], path, how))
    mapped = np.load(path, mmap_mode="r")
    with pytest.raises(ValueError, match=rf"^X: {re.escape(str(path))}: has changed"):
        CALLS[call](mapped, Meddling(data[1], path, how))


def test_a_gram_matrix_or_labels_that_change_are_refused(data, tmp_path):
    X, y = data
    np.save(tmp_path / "K.npy", RELU(X))
    with pytest.raises(ValueError, match=r"^X: .*K\.npy: has changed"):
        nc.collapse(
            tmp_path / "K.npy",
            Meddling(y, tmp_path / "K.npy", "touched"),
            "precomputed",
            convention="papyan",
        )
    np.save(tmp_path / "y.npy", y)
    with pytest.raises(ValueError, match=r"^y: .*y\.npy: has changed"):
        nc.class_sums(Meddling(X, tmp_path / "y.npy", "touched"), tmp_path / "y.npy", RELU)


def test_what_was_written_to_a_map_before_is_no_change(data, tmp_path):
    X, y = data
    mapped = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", X.dtype, X.shape)
    mapped[:] = X
    found = nc.class_sums(mapped, y, RELU)
    assert found.within.tobytes() == nc.class_sums(X, y, RELU).within.tobytes()


def test_a_file_that_changes_between_plan_and_pass_is_refused(data, tmp_path):
    np.save(tmp_path / "X.npy", data[0])
    plan = plans.uncalibrated(tmp_path / "X.npy", data[1], [RELU], 3)
    np.save(tmp_path / "X.npy", data[0][:, :3].repeat(2, axis=1))
    os.utime(tmp_path / "X.npy", ns=(1, 1))
    with pytest.raises(ValueError, match=r"X has changed .*X\.npy"):
        distributed.reduce(plan)


# --- files of earlier versions, and files that are well-formed but not ours ---


def test_files_of_earlier_versions_are_named(data, tmp_path):
    path = tmp_path / "old.npz"
    np.savez(path, head=np.array(json.dumps({"format": 1, "kernel": None})), traces=np.ones(2))
    with pytest.raises(ValueError, match=r"old\.npz has format 1, this version .* reads 2"):
        nc.ClassSums.load(path)
    journal = tmp_path / "run.journal"
    journal.write_bytes(b"nc1fast journal 1 0123456789abcdef {}\n")
    with pytest.raises(ValueError, match=r"run\.journal is a journal of an earlier version"):
        nc.collapse(*data, RELU, journal=journal)
    assert journal.read_bytes().startswith(b"nc1fast journal 1 ")
    with shared_tasks(plans.surveyed(*data, 3), tmp_path / "now") as task:
        content = Path(f"{task.base}pass").read_bytes()
        assert content.startswith(b"PK")  # an archive of arrays, no pickle
        Path(f"{task.base}pass").write_bytes(pickle.dumps(print))
        with pytest.raises(ValueError, match=r"now\.pass is not a file of what bundles share"):
            Task(task.base, (0, 3)).run()


def test_a_table_of_another_program_is_told_by_its_columns_and_damage_by_its_pages(tmp_path):
    studies = pytest.importorskip("nc1fast.studies", reason="studies (extra: study)")
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "table.parquet"
    rows = [study_rows.row("NNGP", "relu", nc1=0.1)]
    studies.table.write(rows, tmp_path, {"study": "mine"})
    assert studies.read(tmp_path)[1] == {"study": "mine"}
    content, whole = parquet.read_table(path), path.read_bytes()
    parquet.write_table(content.replace_schema_metadata(None), path)
    assert repr(studies.read(tmp_path)) == repr((rows, {}))
    index = content.column_names.index("N")
    floats = pyarrow.array([64.0], pyarrow.float64())
    parquet.write_table(content.set_column(index, "N", floats), path)
    with pytest.raises(ValueError, match=r"table\.parquet has columns of other types"):
        studies.read(tmp_path)
    place = whole.index(b"relu")  # a value, in a page with a checksum
    path.write_bytes(whole[:place] + b"gelu" + whole[place + 4 :])
    with pytest.raises(ValueError, match=r"table\.parquet"):
        studies.read(tmp_path)
    path.unlink()
    assert studies.read(tmp_path)[0][0]["nc1"] == 0.1


def test_shares_of_absurdly_many_parts_are_counted_not_listed(data, tmp_path):
    sums = nc.class_sums(*data, RELU, part=(1, 3))
    exact = replace(sums.exact, parts=10**15)
    replace(sums, exact=exact).save(tmp_path / "share.npz")
    with within(20), pytest.raises(ValueError, match=r"999999999999999 of 1000000000000000 parts"):
        distributed.merge([tmp_path / "share.npz"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"parts": 0, "covered": frozenset()}, "number of parts"),
        ({"covered": frozenset()}, "parts covered"),
        ({"covered": frozenset({7})}, "parts covered"),
        ({"block": np.zeros((4, 4, 3), np.int64)}, "block must be int64"),
        ({"exponent": np.zeros((4, 4))}, "exponent must be int32"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_sums_that_no_pass_gives_are_refused(data, tmp_path, change, told):
    sums = nc.class_sums(*data, RELU, part=(1, 3))
    replace(sums, exact=replace(sums.exact, **change)).save(tmp_path / "share.npz")
    with pytest.raises(ValueError, match=rf"share\.npz: .*{told}"):
        nc.ClassSums.load(tmp_path / "share.npz")
