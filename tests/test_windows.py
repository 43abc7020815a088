"""The package in a Python that lacks what Windows lacks (`windows_like`)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.house import ROOT, TREES

PRELUDE = """
import sys
sys.path.insert(0, {root!r})
# These see the system as it is.
import subprocess, tempfile, multiprocessing, concurrent.futures, {others}
from tests import windows_like
windows_like.become()
"""


def _command(code: str, *arguments: str, others: str = "numpy") -> list[str]:
    return [sys.executable, "-c", PRELUDE.format(root=str(ROOT), others=others) + code, *arguments]


def _run(code: str, *arguments: str, others: str = "numpy") -> str:
    """What a process that is as on Windows prints."""
    run = subprocess.run(
        _command(code, *arguments, others=others),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


IMPORTS = """
import importlib, warnings
missing = []
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert error.name not in windows_like.MISSING, (name, error)
        missing.append(name)
import nc1fast
for name in dir(nc1fast):
    getattr(nc1fast, name)
print(*missing)
"""


@pytest.mark.slow
def test_every_module_is_imported():
    names = [
        ".".join(["nc1fast", name][: 2 if name else 1]) for name in TREES if name != "__main__"
    ]
    others = (
        "torch, scipy.optimize, sklearn.utils, distributed, matplotlib.pyplot, pyarrow, h5py, "
        "pandas"
    )
    assert _run(IMPORTS, *names, others=others).split() == []


PASSES = """
import os
from pathlib import Path
import numpy as np, nc1fast as nc
folder = Path(sys.argv[1])
random = np.random.default_rng(0)
X = random.standard_normal((500, 7))
y = np.arange(500) % 3
np.save(folder / "X.npy", X)
np.save(folder / "F.npy", np.asfortranarray(X))
np.savez_compressed(folder / "X.npz", X=np.asfortranarray(X), y=y)
rows = np.memmap(folder / "rows", "f8", "w+", shape=(500, 9))
rows[:, :7] = X
rows.flush()
kernel = nc.NTK("relu")
expected = nc.collapse(X, y, kernel, convention="papyan").nc1
for data in (folder / "X.npy", folder / "F.npy", folder / "X.npz",
             np.memmap(folder / "rows", "f8", "r", shape=(500, 9))[:, 6::-1][:, ::-1],
             np.memmap(folder / "rows", "f8", "r", shape=(500, 9))[:, 0:7:2]):
    labels = "y" if str(data).endswith(".npz") else y
    found = nc.collapse(data, y, kernel, convention="papyan").nc1
    if getattr(data, "shape", X.shape) == X.shape:
        assert found == expected, (data, found, expected)
path = folder / "run.journal"
class Stop(Exception): pass
def stop(done, total):
    if done == 1: raise Stop
for progress in (stop, False):
    try:
        found = nc.collapse(X, y, kernel, convention="papyan", journal=path, progress=progress)
        assert found.nc1 == expected
    except Stop:
        pass
nc.class_sums(X, y, kernel).save(folder / "sums.npz")
nc.class_sums(X, y, kernel).save(folder / "sums.npz")
print(sorted(p.name for p in folder.iterdir()))
"""


def test_files_and_journals_of_a_pass(tmp_path):
    assert _run(PASSES, str(tmp_path)).strip() == str(
        ["F.npy", "X.npy", "X.npz", "rows", "run.journal", "sums.npz"]
    )


JOURNAL = """
import contextlib
from pathlib import Path
from nc1fast.support.journal import Journal, set_aside
path = Path(sys.argv[1]) / "journal.sqlite"
for stem in ("journal", "journal-previous"):  # the second time in place of a file
    with contextlib.closing(Journal(path, {})) as journal:
        journal.add("one", b"1")
        for refused in (Journal, lambda path, _: set_aside(path)):
            try:
                refused(path, {})
            except ValueError as error:
                assert "another run is writing" in str(error)
            else:
                raise AssertionError
        journal.replace([("two", b"2")])
        assert list(journal.records()) == [("two", b"2")]
    set_aside(path)
print(sorted(p.name for p in path.parent.iterdir()))
"""


def test_journals_are_locked_and_set_aside(tmp_path):
    assert _run(JOURNAL, str(tmp_path)).strip() == str(["journal-previous.sqlite"])


TAKE = """
from nc1fast.support.journal import Journal
try:
    Journal(sys.argv[1], {})
    print("free")
except ValueError as error:
    print(error)
"""


def test_the_lock_of_a_process_that_is_killed_is_free(tmp_path):
    journal = str(tmp_path / "journal")
    held = subprocess.Popen(
        _command(
            "from nc1fast.support.journal import Journal\nimport time\n"
            "journal = Journal(sys.argv[1], {})\nprint('held', flush=True)\ntime.sleep(600)\n",
            journal,
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert held.stdout is not None
        assert held.stdout.readline() == "held\n"
        assert "another run is writing" in _run(TAKE, journal)
    finally:
        held.kill()
        held.communicate()
    assert _run(TAKE, journal) == "free\n"
