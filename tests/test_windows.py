"""What the package asks of the system, in a Python that lacks what Windows lacks (`windows_like`)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.house import ROOT, TREES

PRELUDE = """
import sys
sys.path.insert(0, {root!r})
import subprocess, tempfile, multiprocessing, concurrent.futures, {others}  # which see the system as it is
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
    others = "torch, scipy.optimize, sklearn.utils, distributed, matplotlib.pyplot, pyarrow, h5py, pandas"
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
assert windows_like.locks, "the journal was not locked"
nc.class_sums(X, y, kernel).save(folder / "sums.npz")
nc.class_sums(X, y, kernel).save(folder / "sums.npz")
print(sorted(p.name for p in folder.iterdir()))
"""


def test_files_and_journals_of_a_pass(tmp_path):
    assert _run(PASSES, str(tmp_path)).strip() == str(
        ["F.npy", "X.npy", "X.npz", "rows", "run.journal", "sums.npz"]
    )


LINES = """
from pathlib import Path
from nc1fast.support.line_file import LineFile
path = Path(sys.argv[1]) / "lines"
def refused():
    try:
        LineFile(path)
    except ValueError as error:
        return "another run is writing" in str(error)
    return False
file = LineFile(path)
assert list(file.lines()) == [] and refused()
file.append(b"one")
file.append(b"two\\r")
with path.open("ab") as other:
    other.write(b"unfinished")
assert list(file.lines()) == [b"one", b"two\\r"]
assert file.start(5) == b"one\\nt" and file.start(99) == b"one\\ntwo\\r\\n"
file.append(b"three")
assert path.read_bytes() == b"one\\ntwo\\r\\nthree\\n"
file.replace(iter([b"1", b"2"]))
assert refused() and list(file.lines()) == [b"1", b"2"]
file.append(b"3")
def failing():
    yield b"x"
    raise OSError(28, "No space left on device")
try:
    file.replace(failing())
except OSError as error:
    assert error.filename == str(path)
else:
    raise AssertionError
assert refused() and list(file.lines()) == [b"1", b"2", b"3"]
for _ in range(2):  # the second time in place of a file
    file.set_aside("before")
    assert refused() and list(file.lines()) == []
    file.append(b"new")
half = file.lines()
assert next(half) == b"new"
file.close()  # whoever still holds the reader
file = LineFile(path)
assert list(file.lines()) == [b"new"]
print(sorted(p.name for p in path.parent.iterdir()))
"""


def test_lines_are_locked_and_replaced_without_fcntl(tmp_path):
    assert _run(LINES, str(tmp_path)).strip() == str(["before", "lines"])


def test_the_lock_of_a_process_that_is_killed_is_free(tmp_path):
    held = subprocess.Popen(
        _command(
            "from nc1fast.support.line_file import LineFile\nimport time\n"
            "file = LineFile(sys.argv[1])\nprint('held', flush=True)\ntime.sleep(600)\n",
            str(tmp_path / "lines"),
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    take = (
        "from nc1fast.support.line_file import LineFile\n"
        "try:\n    LineFile(sys.argv[1])\n    print('free')\n"
        "except ValueError as error:\n    print(error)\n"
    )
    try:
        assert held.stdout is not None
        assert held.stdout.readline() == "held\n"
        assert "another run is writing" in _run(take, str(tmp_path / "lines"))
    finally:
        held.kill()
        held.communicate()
    assert _run(take, str(tmp_path / "lines")) == "free\n"
