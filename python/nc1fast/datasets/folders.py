"""Folders of data files: which files of them are read, in the order in which their rows are joined.

A folder holds either MNIST (IDX files of images beside their labels), the batches of CIFAR, or a
Hugging Face data set as `save_to_disk` writes it; or a folder of that kind within it, as
torchvision's MNIST/raw. Of several parts it is the training set that is read; the file or folder of
another part can be given by itself.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from nc1fast.datasets.images import is_idx
from nc1fast.support.reading import malformed, readable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KINDS = (
    "MNIST (train-images-idx3-ubyte and the like), CIFAR (data_batch_1, ... or .bin; train) or a "
    "Hugging Face data set saved on disk (state.json)"
)
_BATCH = re.compile(r"data_batch_(\d+)(\.bin)?")
_DEPTH = 2  # folders within folders that are looked into
_SHOWN = 8  # names of files that a message shows


def files_in(folder: Path) -> list[Path]:
    """The data files of a folder.

    Raises
    ------
    ValueError
        If it holds no data set of a known kind, or more than one.
    """
    found = _data_set(folder, _DEPTH)
    if found:
        return found
    names = sorted(entry.name for entry in folder.iterdir())
    some = f"{', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}" or "nothing"
    raise malformed(folder, f"is a folder that holds {some}; must hold {KINDS}")


def _data_set(folder: Path, depth: int) -> list[Path]:
    """Data files of the folder itself, else of the only one within it that has any; [] if there are
    none.
    """
    for kind in _KINDS:
        if files := kind(folder):
            return files
    if depth == 0:
        return []
    within = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    found = [files for entry in within if (files := _data_set(entry, depth - 1))]
    if len(found) > 1:
        which = ", ".join(str(files[0].parent.relative_to(folder)) for files in found[:_SHOWN])
        raise malformed(folder, f"holds several data sets ({which}): give one of them")
    return found[0] if found else []


def _mnist(folder: Path) -> list[Path]:
    """The IDX file of the training images, or the only one of images."""
    images = sorted(p for p in folder.iterdir() if is_idx(p) and "images" in p.name and p.is_file())
    plain = {path.name.removesuffix(".gz"): path for path in reversed(images)}  # of x and x.gz, x
    training = [path for name, path in plain.items() if "train" in name] or list(plain.values())
    if len(training) > 1:
        names = ", ".join(sorted(path.name for path in training))
        raise malformed(folder, f"holds several files of images ({names}): give one of them")
    return training


def _cifar(folder: Path) -> list[Path]:
    """The training batches 1, 2, ... of CIFAR-10, or the one of CIFAR-100."""
    for suffix in ("", ".bin"):
        matches = (_BATCH.fullmatch(entry.name) for entry in folder.iterdir())
        numbers = sorted(int(m[1]) for m in matches if m is not None and (m[2] or "") == suffix)
        if numbers:
            if numbers != list(range(1, len(numbers) + 1)):
                there = ", ".join(map(str, numbers))
                raise malformed(folder, f"holds batches {there} of CIFAR: some are missing")
            return [folder / f"data_batch_{number}{suffix}" for number in numbers]
        if (folder / f"train{suffix}").is_file() and (folder / f"test{suffix}").is_file():
            return [folder / f"train{suffix}"]
    return []


def _hugging_face(folder: Path) -> list[Path]:
    """The shards that state.json names; of a dict of splits, those of train or of the only one."""
    splits = folder / "dataset_dict.json"
    if splits.is_file():
        names = [str(name) for name in _listed(splits, "splits")]
        chosen = "train" if "train" in names else names[0] if len(names) == 1 else ""
        if not chosen:
            listed = ", ".join(names)
            raise malformed(folder, f"holds several splits ({listed}): give the folder of one")
        return _hugging_face(_within(folder, chosen, splits))
    state = folder / "state.json"
    if not state.is_file():
        return []
    shards = _listed(state, "_data_files")
    if not shards or not all(
        isinstance(s, dict) and isinstance(s.get("filename"), str) for s in shards
    ):
        raise malformed(state, "does not name the files of its data in '_data_files'")
    names = [shard["filename"] for shard in shards]
    if len(set(names)) < len(names):
        raise malformed(state, "names a file of its data twice")
    return [_within(folder, name, state) for name in names]


def _listed(path: Path, key: str) -> list[Any]:
    """The list under a key of a JSON file."""
    with readable(path, "JSON file"):
        content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        raise malformed(path, f"has no list {key!r}")
    found: list[Any] = content[key]
    return found


def _within(folder: Path, name: str, source: Path) -> Path:
    """The entry of this name in the folder; ValueError for a path that leads elsewhere."""
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise malformed(source, f"names {name!r}, which is no name of a file beside it")
    return folder / name


_KINDS: tuple[Callable[[Path], list[Path]], ...] = (_hugging_face, _cifar, _mnist)
