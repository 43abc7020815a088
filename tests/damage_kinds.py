"""Small files of every kind that is read, and readers that tell every bit of what was read."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tests import plans

import nc1fast as nc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RELU = nc.NNGP("relu")


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes
    ----------
    make : callable(folder) -> path
        Of the file, or of a folder of files.
    read : callable(path) -> object
        Bytes that identify what was read.
    sealed : bool
        Whether the format has room for a checksum of ours.
    needs : tuple of str
        Optional packages.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    sealed: bool = False
    needs: tuple[str, ...] = ()

    @property
    def readable(self) -> bool:
        """Whether the packages are there."""
        return all(importlib.util.find_spec(name) for name in self.needs)


def _data(n: int = 60) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, n)
    return np.round(rng.normal(size=(n, 4)) + y[:, None], 6), y


def _bytes(*values: Any) -> str:
    """Every bit of arrays, numbers and texts."""
    digest = hashlib.sha256()
    for value in values:
        array = np.ascontiguousarray(value)
        digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def _sums_bytes(sums: Any) -> str:
    arrays = (sums.block_sums, sums.traces, sums.within, sums.sizes, sums.labels)
    more = [a for a in (sums.class_rows, sums.order, *vars(sums.error).values()) if a is not None]
    exact = [] if sums.exact is None else sums.exact.stored()
    return _bytes(*arrays, *more, repr(sums.kernel), repr(exact))


# --- ours ---


def _make_sums(folder: Path) -> Path:
    nc.class_sums(*_data(), RELU).save(folder / "sums.npz")
    return folder / "sums.npz"


def _make_shares(folder: Path) -> Path:
    for index in range(3):
        nc.class_sums(*_data(), RELU, part=(index, 3)).save(folder / f"share-{index}.npz")
    return folder / "share-1.npz"


def _read_shares(path: Path) -> str:
    return _sums_bytes(nc.distributed.merge(sorted(path.parent.glob("share-*.npz"))))


def _make_merged(folder: Path) -> Path:
    _make_shares(folder)
    nc.distributed.merge(sorted(folder.glob("share-*.npz"))).save(folder / "merged.npz")
    return folder / "merged.npz"


def _plan() -> Any:
    return plans.uncalibrated(*_data(200), [RELU], 3)


def _make_journal(folder: Path) -> Path:
    nc.distributed.reduce(_plan(), journal=folder / "run.journal")
    return folder / "run.journal"


def _read_journal(path: Path) -> str:
    return _bytes(*map(_sums_bytes, nc.distributed.reduce(_plan(), journal=path)))


def _make_companion(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from nc1fast.distributed.problem import Surveyed
        from nc1fast.distributed.tasks import shared_tasks

        np.save(folder / "X.npy", _data()[0])
        plan = _plan_of(folder / "X.npy")
        surveyed = Surveyed.of(plan.problem, 1, survey_threads=1)
        with shared_tasks(surveyed, folder / "run") as task:
            for path in list(folder.glob("run.*")):
                shutil.copy(path, folder / path.name.replace("run", "kept"))
        (folder / "base").write_text(task.base)
        return folder / f"kept.{name}"

    return make


def _plan_of(path: Path) -> Any:
    return plans.uncalibrated(path, _data()[1], [RELU, nc.AdaptiveKernel(np.eye(4))], 3)


def _read_companion(path: Path) -> str:
    from nc1fast.distributed.tasks import Task

    shares = Task(f"{path.parent}/kept.", (1, 3)).run()
    return _bytes(*(repr(vars(share)) for share in shares))


def _study_rows() -> list[Any]:
    from tests import study_rows

    from nc1fast.studies import table

    return [table.LAYOUT.ordered(study_rows.row("NNGP", "relu", nc1=0.1 * k)) for k in range(1, 9)]


def _make_study_journal(folder: Path) -> Path:
    from nc1fast.studies import table
    from nc1fast.studies.journal import StudyJournal
    from nc1fast.studies.tasks.task import Outcome

    journal = StudyJournal(folder, "f" * 64, table.LAYOUT, resume=True)
    for k, row in enumerate(_study_rows()):
        journal.add(f"cell {k}", Outcome([row]))
    journal.close()
    return folder / "journal.sqlite"


def _read_study_journal(path: Path) -> str:
    from nc1fast.studies import table
    from nc1fast.studies.journal import StudyJournal

    journal = StudyJournal(path.parent, "f" * 64, table.LAYOUT, resume=True)
    finished = {name: (one.rows, one.series) for name, one in journal.finished.items()}
    journal.close()
    expected: dict[str, tuple[list[Any], list[Any]]] = {
        f"cell {k}": ([row], []) for k, row in enumerate(_study_rows())
    }
    # What is missing is computed again; what is there must be what was written.
    return repr({**expected, **finished})


def _make_table(suffix: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from nc1fast.studies import table

        table.write(_study_rows(), folder, {"study": "damage"})
        for path in folder.glob("table.*"):
            if path.suffix != suffix:
                path.unlink()
        return folder / f"table{suffix}"

    return make


def _read_table(path: Path) -> str:
    from nc1fast import studies

    return repr(studies.read(path.parent))


def _train(path: Path) -> Any:
    X, y = nc.datasets.paper_d1(16, 2, seed=0)
    network = nc.networks.ShallowNetwork("erf", 2, width=4, seed=0)
    return nc.networks.train(network, X, y, epochs=2, repeats=2, checkpoint=path)


def _make_checkpoint(folder: Path) -> Path:
    _train(folder / "run.pt")
    return folder / "run.pt"


def _read_checkpoint(path: Path) -> str:
    return _bytes(*_train(path).table.values())


# --- of others, but parsed here ---


def _make_idx(pack: Callable[[bytes], bytes], suffix: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from tests.file_bytes import idx_bytes

        X, y = _data()
        for name, array in (("images-idx2", X), ("labels-idx1", y.astype("u1"))):
            (folder / f"{name}-ubyte{suffix}").write_bytes(pack(idx_bytes(array)))
        return folder / f"images-idx2-ubyte{suffix}"

    return make


def _read_loaded(path: Path) -> str:
    return _bytes(*nc.datasets.load(path))


def _make_description(folder: Path) -> Path:
    text = (
        "name: mine\ntitle: My data\nrepeats: 5\narms:\n  - name: mine\n    data:\n"
        "      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, "
        "n_features: [8], n_samples: [64]}\n"
        "    kernels:\n      - {kernel: NNGP, activation: [erf, relu]}\n"
        "      - {kernel: NTK, activation: [erf, relu], depth: [2, 3]}\n"
    )
    (folder / "mine.yml").write_text(text)
    return folder / "mine.yml"


def _read_description(path: Path) -> str:
    from nc1fast import studies

    return repr(studies.load(path))


STUDY = ("pydantic", "yaml", "pyarrow")
KINDS = {
    "class sums": Kind(_make_sums, lambda path: _sums_bytes(nc.ClassSums.load(path)), True),
    "share": Kind(_make_shares, _read_shares, True),
    "merged shares": Kind(_make_merged, lambda path: _sums_bytes(nc.ClassSums.load(path)), True),
    "journal": Kind(_make_journal, _read_journal, True),
    "journal.pass": Kind(_make_companion("pass"), _read_companion, True),
    "journal.order.npy": Kind(_make_companion("order.npy"), _read_companion, True),
    "study journal": Kind(_make_study_journal, _read_study_journal, True, STUDY),
    "study table .parquet": Kind(_make_table(".parquet"), _read_table, needs=STUDY),
    "checkpoint": Kind(_make_checkpoint, _read_checkpoint, True, ("torch",)),
    "study table .csv": Kind(_make_table(".csv"), _read_table, needs=STUDY),
    "study description": Kind(_make_description, _read_description, needs=STUDY),
    "IDX": Kind(_make_idx(bytes, ""), _read_loaded),
    "IDX, gzipped": Kind(_make_idx(lambda data: gzip.compress(data, mtime=0), ".gz"), _read_loaded),
}
