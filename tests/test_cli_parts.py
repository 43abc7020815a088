"""The command line of long passes: journals, dry runs, shares and their merging."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests import long_pass
from tests.full_disk import files_of_at_most

import nc1fast as nc

NC1FAST = Path(sys.executable).with_name("nc1fast")


@pytest.fixture
def data(tmp_path):
    X, y = long_pass.data(600)
    path = tmp_path / "data.npz"
    np.savez(path, X=X, y=y)
    return path, X, y


def _shards(call, path, folder, of, *options):
    files = [folder / f"share-{index}.npz" for index in range(of)]
    for index, file in enumerate(files):
        code, _, err = call("shard", path, "--index", index, "--of", of, "--out", file, *options)
        assert (code, err) == (0, "")
    return files


def test_shares_of_processes_merge_to_the_bits_of_one_pass(data, tmp_path):
    path, X, y = data
    kernel = ["--kernel", "ntk", "--activation", "erf", "--dtype", "mixed"]
    files = [tmp_path / f"{index}.npz" for index in range(3)]
    running = [
        subprocess.Popen(
            [NC1FAST, "shard", path, "--index", str(index), "--of", "3", "--out", file, *kernel],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": str(1 + index)},
        )
        for index, file in enumerate(files)
    ]
    assert [(process.communicate()[1], process.returncode) for process in running] == [(b"", 0)] * 3
    whole = tmp_path / "whole.npz"
    merged = subprocess.run(
        [NC1FAST, "merge", *files[::-1], "--convention", "class", "--json", "--out", whole],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = nc.collapse(X, y, nc.NTK("erf"), convention="class", dtype="mixed")
    told = json.loads(merged.stdout)
    assert told["nc1"] == expected.nc1
    assert told["nc1_pinv"] == expected.nc1_pinv
    assert told["error_bound"] == expected.error_bound
    assert told["shares"] == 3
    sums = nc.class_sums(X, y, nc.NTK("erf"), dtype="mixed")
    assert long_pass.digest([nc.ClassSums.load(whole)]) == long_pass.digest([sums])


def test_one_share_is_the_whole(call, answer, data, tmp_path):
    path, X, y = data
    files = _shards(call, path, tmp_path, 1, "--statistics", "sums")
    told = answer("merge", *files, "--convention", "papyan")
    assert told["nc1"] == nc.collapse(X, y, nc.NNGP("relu"), convention="papyan").nc1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.npz", "share-0.npz"]


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda a, b: a[:2], "1 of 3 parts are missing: 2"),
        (lambda a, b: a[1:2], "2 of 3 parts are missing: 0, 2"),
        (lambda a, b: [*a, a[1]], "share-1.npz has part 1, which"),
        (lambda a, b: [a[0], b["depth"]], "its kernel is NNGP('relu', depth=3)"),
        (lambda a, b: [a[0], b["of"]], "it is one of 4 parts, not of 3"),
        (lambda a, b: [a[0], b["statistics"]], "the row sums of statistics='all'"),
        (lambda a, b: [a[0], b["dtype"], a[2]], "is of another problem: data, dtype"),
        (lambda a, b: [a[0], a[0].with_name("gone.npz")], "gone.npz: No such file"),
        (lambda a, b: [a[0].with_name("data.npz")], "data.npz is not a file of class sums"),
        (lambda a, b: [a[0].with_name("cut.npz")], "cut.npz is not a file of class sums"),
        (lambda a, b: [a[0].with_name("features.npz")], "features.npz holds no part"),
    ],
)
def test_what_is_incomplete_or_foreign_is_refused(call, refused, data, tmp_path, choose, message):
    path, X, y = data
    files = _shards(call, path, tmp_path, 3)
    others = {}
    for name, value in {"depth": 3, "of": 4, "statistics": "sums", "dtype": "float32"}.items():
        others[name] = tmp_path / f"{name}.npz"
        options = {"of": 3, "index": 1, "out": others[name], name: value}
        line = (word for option, given in options.items() for word in (f"--{option}", given))
        assert call("shard", path, *line)[0] == 0
    whole = files[0].read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    nc.class_sums(X, y).save(tmp_path / "features.npz")
    assert message in refused("merge", *choose(files, others), "--convention", "papyan")


def test_a_full_disk_leaves_no_half_of_a_share(call, refused, data, tmp_path):
    path, *_ = data
    (share,) = _shards(call, path, tmp_path, 1)
    with files_of_at_most(20_000):
        for line in (["shard", path, "--index", 0, "--of", 2], ["merge", share]):
            late = tmp_path / "late.npz"
            assert refused(*line, "--out", late) == f"nc1fast: {late}: File too large\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.npz", "share-0.npz"]


def test_collapse_keeps_a_journal_and_goes_on_from_it(answer, refused, data, tmp_path):
    path, X, y = data
    journal = tmp_path / "run.journal"
    expected = nc.collapse(X, y, nc.NNGP("relu"), convention="papyan").nc1
    line = ["collapse", path, "--convention", "papyan", "--journal", journal]
    assert answer(*line)["nc1"] == expected
    finished = journal.read_bytes()
    assert answer(*line, "--resume")["nc1"] == expected
    assert journal.read_bytes() == finished
    err = refused(*line, "--depth", "3")
    assert "run.journal is the journal of another problem (kernels: NNGP(" in err


@pytest.mark.parametrize("form", ["npz", "npy", "h5"])
def test_data_stay_in_their_file_under_a_memory_limit(call, answer, refused, tmp_path, form):
    """The same numbers as of the array."""
    X, y = long_pass.data(9_000)
    path = tmp_path / f"data.{form}"
    if form == "npz":
        np.savez(path, data=X, kind=y)
        given = [path, "--keys", "data, kind"]
    elif form == "npy":
        np.save(path, X)
        np.save(tmp_path / "y.npy", y)
        given = [path, "--labels", tmp_path / "y.npy"]
    else:
        h5py = pytest.importorskip("h5py", reason="HDF5 files (extra: files)")
        with h5py.File(path, "w") as file:
            file["X"], file["y"] = X, np.unique(y, return_inverse=True)[1]
        given = [f"{path}::X", "--labels", f"{path}::y"]
    limit = ["--memory-limit", "3.5", "--threads", "1", "--statistics", "sums"]
    told = answer("collapse", *given, *limit, "--convention", "papyan")
    settings = {"statistics": "sums", "convention": "papyan"}
    assert told["nc1"] == nc.collapse(X, y, nc.NNGP("relu"), **settings).nc1
    shares = _shards(call, given[0], tmp_path, 2, *given[1:], *limit)
    assert answer("merge", *shares, "--convention", "papyan")["nc1"] == told["nc1"]
    err = refused("collapse", *given, "--memory-limit", "1", "--threads", "1")
    assert "memory_limit is 1048576 bytes, but at least" in err


def test_dry_run_prints_the_plan_and_computes_nothing(answer, data, tmp_path):
    path, X, _ = data
    journal = tmp_path / "run.journal"
    told = answer("collapse", path, "--dry-run", "--journal", journal)
    n, d = X.shape
    assert (told["rows"], told["features"], told["classes"]) == (n, d, 4)
    assert told["pairs"] == n * (n + 1) // 2
    assert told["flops"] == n * n * d
    assert told["bundles"] >= 2
    assert {"tiles", "bytes_of_data", "bytes_packed", "bytes_returned", "seconds"} <= told.keys()
    assert "nc1" not in told
    assert not journal.exists()
