"""What callers see of a long call: a callable that hears of steady progress, or a bar that appears,
moves and ends.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import distributed

X, y = nc.datasets.paper_d1(1500, 4, seed=0)
RELU, DEEP = nc.NNGP("relu"), nc.NTK("relu", depth=3)
# Kernels of three input layers: three passes.
PASSES = [RELU, nc.NNGP("erf", bias_variance=0.5), nc.NTK("relu", bias_variance=0.25), DEEP]
SMALL, TINY = (X[::12], y[::12]), (X[::30], y[::30])


def _class_sums(progress, **settings):
    return nc.class_sums(X, y, PASSES, n_threads=2, progress=progress, **settings)


def _reduce(progress, executor=None, journal=None):
    plan = distributed.plan(X, y, PASSES, bundles=7, n_threads=1)
    return distributed.reduce(plan, executor, journal=journal, progress=progress)


def _resumed(progress, folder):
    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _reduce(stop, journal=folder / "run.journal")
    return _reduce(progress, journal=folder / "run.journal")


def _on_threads(progress, folder):
    with ThreadPoolExecutor(2) as executor:
        return _reduce(progress, executor, folder / "other.journal")


def _train(progress, **settings):
    network = nc.networks.ShallowNetwork("relu", 4, width=8, seed=0)
    return nc.networks.train(network, *SMALL, repeats=2, progress=progress, **settings)


CALLS = {
    "one pass": lambda to, _: nc.collapse(X, y, RELU, progress=to),
    "one thread": lambda to, _: nc.collapse(X, y, RELU, n_threads=1, progress=to),
    "in the calling thread": lambda to, _: nc.collapse(*SMALL, RELU, progress=to),
    "three passes": lambda to, _: nc.collapse(X, y, PASSES, progress=to),
    "a part": lambda to, _: _class_sums(to, part=(1, 3)),
    "divided rows": lambda to, _: _class_sums(to, statistics="sums", memory_limit=8 << 20),
    "product": lambda to, _: RELU.matvec(X, X, memory_limit=1 << 20, progress=to),
    "Gram matrix": lambda to, _: nc.collapse(RELU(X), y, "precomputed", progress=to),
    "callable": lambda to, _: nc.collapse(X, y, lambda a, b: a @ b.T, progress=to),
    "auto": lambda to, _: nc.collapse(X, y, PASSES, method="auto", progress=to),
    "bundles": lambda to, _: _reduce(to),
    "journal, resumed": _resumed,
    "executor": _on_threads,
    "in one call": lambda to, folder: nc.collapse(
        X, y, PASSES, journal=folder / "whole.journal", progress=to
    ),
    "training": lambda to, _: _train(to, epochs=5),
    "training that ends early": lambda to, _: _train(to, epochs=50, until=("loss", 100.0)),
    "adaptive": lambda to, _: nc.adaptive.solve(
        *TINY, noise=1.0, widths=[2000, 1000], multistart=2, max_iter=5, progress=to
    ),
    "control": lambda to, _: nc.adaptive.shuffled_control(
        *TINY, noise=1.0, max_iter=5, progress=to
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_callable_hears_of_steady_progress_to_the_end(name, tmp_path):
    seen = []
    CALLS[name](lambda done, total: seen.append((done, total)), tmp_path)
    done, totals = zip(*seen, strict=True)
    assert len(set(totals)) == 1
    assert totals[0] > 0
    assert all(type(n) is int for n in (*done, *totals))
    assert done[0] >= 0
    assert np.all(np.diff(done) > 0)
    assert done[-1] == totals[0]


def test_the_last_of_several_passes_alone_reaches_the_total():
    seen = []
    _class_sums(lambda done, total: seen.append(done / total))
    assert len(seen) >= 3
    assert [f for f in seen if f < 1] == seen[:-1]
    assert any(abs(f - 1 / 3) < 1e-3 for f in seen)


def test_no_end_is_told_after_an_error():
    seen = []

    def progress(done, total):
        seen.append((done, total))
        raise ArithmeticError("mine")

    with pytest.raises(ArithmeticError, match="mine"):
        nc.collapse(X, y, RELU, progress=progress)
    assert len(seen) == 1


@pytest.mark.parametrize("progress", [None, 1, 0, "yes", np.nan])
@pytest.mark.parametrize("kernel", [RELU, None])
def test_what_is_no_progress_is_refused_also_where_there_is_none(kernel, progress):
    with pytest.raises(TypeError, match=r"progress must be a bool or a callable.*got"):
        nc.collapse(X, y, kernel, progress=progress)


PROGRAM = """
import numpy as np
import nc1fast as nc
X, y = nc.datasets.paper_d1({n}, 4, seed=0)
kernels = [nc.NNGP("relu"), nc.NNGP("erf", bias_variance=0.5), nc.NTK("gelu", depth=4)]
nc.collapse(X, y, kernels, n_threads=1, progress={progress}{more})
"""


def _on_terminal(arguments):
    """Run a process whose standard error is a terminal of 100 columns; what it shows there."""
    pty = pytest.importorskip("pty", reason="needs terminals of POSIX")
    master, slave = pty.openpty()
    os.set_inheritable(slave, True)
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm"}
    shown = bytearray()

    def read():
        while True:
            try:
                shown.extend(os.read(master, 1 << 16))
            except OSError:  # the other side is closed
                return

    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=slave, stdin=subprocess.DEVNULL, env=environment
    )
    os.close(slave)
    reader = threading.Thread(target=read)
    reader.start()
    out, _ = process.communicate(timeout=120)
    reader.join()
    os.close(master)
    text = shown.decode()
    assert process.returncode == 0, text
    return out.decode(), text


def _percents(text):
    return [int(found) for found in re.findall(r"(\d+)%\|", text)]


def test_a_bar_appears_moves_and_ends_on_a_terminal():
    program = PROGRAM.format(n=9000, progress=True, more="")
    _, text = _on_terminal([sys.executable, "-c", program])
    percents = _percents(text)
    assert percents[0] < 100
    assert percents[-1] == 100
    assert percents == sorted(percents)
    assert len(set(percents)) > 2
    assert "tiles" in text
    assert "100%|" in text.rstrip().splitlines()[-1]


def test_a_bar_of_bundles_ends_on_a_terminal(tmp_path):
    journal = f', journal="{tmp_path / "run.journal"}"'
    for n_kept in (0, 1):  # the second time everything is in the journal
        program = PROGRAM.format(n=3000, progress=True, more=journal)
        _, text = _on_terminal([sys.executable, "-c", program])
        assert _percents(text)[-1] == 100, n_kept
        assert "bundles" in text


def test_no_bar_where_none_is_asked_for_or_none_can_be_seen():
    program = PROGRAM.format(n=3000, progress=False, more="")
    assert _on_terminal([sys.executable, "-c", program]) == ("", "")
    into_a_file = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(n=3000, progress=True, more="")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert into_a_file.stdout == ""
    assert _percents(into_a_file.stderr)[-1] == 100
    assert len(_percents(into_a_file.stderr)) < 5  # a state every ten seconds, each on its own


def test_the_command_line_shows_a_bar_on_a_terminal_alone(tmp_path):
    np.savez(tmp_path / "data.npz", X=X, y=y)
    program = "from nc1fast.cli import main; main()"
    command = [sys.executable, "-c", program, "collapse", str(tmp_path / "data.npz"), "--json"]
    out, text = _on_terminal(command)
    assert '"nc1"' in out
    assert _percents(text)[-1] == 100
    quiet = subprocess.run(command, capture_output=True, text=True, check=True)
    assert quiet.stderr == ""
    assert quiet.stdout == out


def test_a_missing_tqdm_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError, match=r"tqdm is not installed.*nc1fast\[cli\]"):
        nc.collapse(X, y, RELU, progress=True)
    nc.collapse(X, y, RELU, progress=False)
