"""What writes and what reads, on files small enough to fail at every call."""

from __future__ import annotations

import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tests import long_pass, plans, study_rows

import nc1fast as nc
from nc1fast import distributed
from nc1fast.distributed import shares
from nc1fast.inputs.files import as_source
from nc1fast.support.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RELU = nc.NNGP("relu")
X, Y = long_pass.data(300)
BUNDLES = 4


@dataclass(frozen=True)
class Writer:
    """Something that writes files in a folder.

    Attributes
    ----------
    before : callable(folder)
        Makes what is there before.
    act : callable(folder)
        Writes.
    state : callable(folder) -> text
        What a reader finds, also by going on; it must be that of before or after a run without a
        fault.
    word : str
        Part of the paths of the files, beneath the folder.
    """

    before: Callable[[Path], object]
    act: Callable[[Path], object]
    state: Callable[[Path], Any]
    word: str = ""


@dataclass(frozen=True)
class Reader:
    """Something that reads files in a folder; `act` gives all bits of the result."""

    before: Callable[[Path], object]
    act: Callable[[Path], Any]
    word: str = ""


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "nothing"


# --- writers ---


def _sums(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return nc.class_sums(rng.normal(size=(60, 3)), np.arange(60) % 3, RELU)


def _saved(folder: Path) -> str:
    path = folder / "sums.npz"
    return nc.ClassSums.load(path).within.tobytes().hex() if path.exists() else "nothing"


def _reduce(folder: Path, executor: Any = None) -> str:
    plan = plans.uncalibrated(X, Y, [RELU], BUNDLES, executor)
    return long_pass.digest(distributed.reduce(plan, executor, journal=folder / "run.journal"))


def _reduce_adding_up(folder: Path) -> str:
    kept = shares._REWRITE, shares._GROWTH
    shares._REWRITE = shares._GROWTH = 0
    try:
        return _reduce(folder)
    finally:
        shares._REWRITE, shares._GROWTH = kept


def _reduce_in_threads(folder: Path) -> str:
    with ThreadPoolExecutor(2) as executor:
        return _reduce(folder, executor)


def _rows(first: int, n: int) -> list[Any]:
    from nc1fast.studies import table

    rows = [study_rows.row("NNGP", "relu", nc1=0.1 * k) for k in range(first, first + n)]
    return [table.LAYOUT.ordered(row) for row in rows]


def _study_journal(folder: Path) -> str:
    from nc1fast.studies import table
    from nc1fast.studies.journal import StudyJournal
    from nc1fast.studies.tasks.task import Outcome

    journal = StudyJournal(folder, "f" * 64, table.LAYOUT, resume=True)
    try:
        for k, row in enumerate(_rows(1, 4)):
            if f"cell {k}" not in journal.finished:
                journal.add(f"cell {k}", Outcome([row]))
        return repr({name: one.rows for name, one in journal.finished.items()})
    finally:
        journal.close()


def _write_table(first: int) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        from nc1fast.studies import table

        table.write(_rows(first, 3), folder, {"study": str(first)})

    return write


def _write_page(what: bytes) -> Callable[[Path], object]:
    """As reports, figures and traces are written."""
    return lambda folder: write_atomically(folder / "report.html", what * 50_000)


def _tables(folder: Path) -> tuple[str, str]:
    """Each of the two files is whole; between them a kill may leave one of each kind."""
    from nc1fast import studies

    studies.read(folder)
    return _digest(folder / "table.parquet"), _digest(folder / "table.csv")


def _train(folder: Path) -> str:
    data = nc.datasets.paper_d1(16, 2, seed=0)
    network = nc.networks.ShallowNetwork("erf", 2, width=4, seed=0)
    trace = nc.networks.train(network, *data, epochs=4, repeats=2, checkpoint=folder / "run.pt")
    return repr({name: column.tolist() for name, column in trace.table.items()})


def _append(folder: Path) -> None:
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = torch.nn.Linear(6, 3)
    loader = [(torch.tensor(X[:60], dtype=torch.float32), torch.arange(60) % 3)]
    monitor = nc.networks.Monitor(module, loader, metrics=["nc1"], sinks=[folder / "collapse.csv"])
    monitor(0)


def _nothing(_folder: Path) -> None:
    pass


# --- readers ---


def _spooled(folder: Path) -> str:
    """Rows by column are streamed into a temporary file, of the same folder here."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        return _bits(nc.class_sums(folder / "F.npy", Y, RELU))
    finally:
        tempfile.tempdir = before


def _bits(sums: Any) -> str:
    return long_pass.digest([sums])


def _write_all(folder: Path) -> None:
    np.save(folder / "X.npy", X)
    np.save(folder / "F.npy", np.asfortranarray(X))
    np.save(folder / "y.npy", Y)
    np.savez(folder / "data.npz", X=X, y=Y)
    lines = [",".join([*map(repr, row.tolist()), c]) for row, c in zip(X, Y, strict=True)]
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    _sums(0).save(folder / "sums.npz")


def _loaded(name: str) -> Callable[[Path], str]:
    def read(folder: Path) -> str:
        found, labels = nc.datasets.load(
            folder / name, **({"labels": Y} if name.endswith("npy") else {})
        )
        return hashlib.sha256(found.tobytes() + labels.tobytes()).hexdigest()

    return read


def _rows_of(folder: Path) -> str:
    rows = as_source(folder / "X.npy")
    parts = [rows[5:200], rows[np.array([3, 50, 299, 7])], *rows.chunks()]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def _in_core(**settings: Any) -> Callable[[Path], str]:
    return lambda folder: _bits(nc.class_sums(folder / "X.npy", folder / "y.npy", RELU, **settings))


WRITERS = {
    "sums": Writer(
        lambda f: _sums(0).save(f / "sums.npz"), lambda f: _sums(1).save(f / "sums.npz"), _saved
    ),
    "first sums": Writer(_nothing, lambda f: _sums(1).save(f / "sums.npz"), _saved),
    "journal": Writer(_nothing, _reduce, _reduce),
    "journal that is added up": Writer(_nothing, _reduce_adding_up, _reduce),
    "journal and shared files": Writer(_nothing, _reduce_in_threads, _reduce),
    "study journal": Writer(_nothing, _study_journal, _study_journal),
    "report": Writer(
        _write_page(b"old"), _write_page(b"new"), lambda f: _digest(f / "report.html")
    ),
    "tables": Writer(_write_table(1), _write_table(5), _tables),
    "checkpoint": Writer(_nothing, _train, _train),
    "spooled rows": Writer(_write_all, _spooled, _spooled, "nc1fast-"),
    "rows of a monitor": Writer(
        _append, _append, lambda f: _digest(f / "collapse.csv"), "collapse.csv"
    ),
}
READERS = {
    "rows in the core": Reader(_write_all, _in_core(n_threads=1)),
    "rows in the core, two threads": Reader(_write_all, _in_core(n_threads=2)),
    "rows": Reader(_write_all, _rows_of),
    "a stored member": Reader(
        _write_all,
        lambda f: _bits(nc.class_sums(f"{f / 'data.npz'}::X", f"{f / 'data.npz'}::y", RELU)),
    ),
    "a product": Reader(
        _write_all,
        lambda f: hashlib.sha256(RELU.matvec(f / "X.npy", np.ones(len(Y))).tobytes()).hexdigest(),
    ),
    "spooled rows": Reader(_write_all, _spooled),
    ".npz": Reader(_write_all, _loaded("data.npz")),
    ".npy": Reader(_write_all, _loaded("X.npy")),
    ".csv": Reader(_write_all, _loaded("data.csv")),
    "sums": Reader(_write_all, _saved),
}
SCENARIOS: dict[str, Writer | Reader] = {
    **{f"writing {name}": one for name, one in WRITERS.items()},
    **{f"reading {name}": one for name, one in READERS.items()},
}
