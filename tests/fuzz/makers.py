"""Small valid files of formats of other people, for `targets`."""

from __future__ import annotations

import gzip
import io
import json
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
from tests import damage_kinds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

X, Y = damage_kinds._data()


def write(name: str, content: Callable[[], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content())
        return folder / name

    return make


def tsv() -> bytes:
    lines = ["\t".join([*map(repr, row.tolist()), "abc"[c]]) for row, c in zip(X, Y, strict=True)]
    return gzip.compress("\n".join(["u\tv\tw\tx\tlabel", *lines, ""]).encode(), mtime=0)


def column() -> bytes:
    return "\n".join(["ant", "bee", "cat"][c] for c in Y).encode()


def mat(**options: Any) -> bytes:
    from scipy import io as matlab

    out = io.BytesIO()
    names = np.array([["ant", "bee", "cat"][c] for c in Y], dtype=object)
    y = names if options.pop("cells", False) else Y[:, None].astype(float)
    matlab.savemat(out, {"X": X, "y": y}, **options)
    return out.getvalue()


def torch(**options: Any) -> bytes:
    import torch

    out = io.BytesIO()
    torch.save({"X": torch.tensor(X), "y": torch.tensor(Y)}, out, **options)
    return out.getvalue()


def batch(protocol: int) -> bytes:
    pixels = np.arange(4 * 3072, dtype=np.uint8).reshape(4, 3072)
    return pickle.dumps({b"data": pixels[:, :], b"labels": [0, 1, 2, 1]}, protocol=protocol)


def records() -> bytes:
    return np.arange(4 * 3073, dtype=np.uint8).tobytes()


def arrow(how: str) -> bytes:
    import pyarrow as pa

    lists = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 4)
    names = pa.array([["ant", "bee", "cat"][c] for c in Y]).dictionary_encode()
    batch = pa.record_batch(
        {"x": lists if how != "stream" else pa.array(X.tolist()), "label": names}
    )
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4" if how == "compressed" else None)
    writer = pa.ipc.new_stream if how == "stream" else pa.ipc.new_file
    with writer(sink, batch.schema, options=options) as file:
        file.write_batch(batch)
    return sink.getvalue().to_pybytes()


def parquet_of_lists() -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    names = pa.array([["ant", "bee", "cat"][c] for c in Y])
    parquet.write_table(pa.table({"x": pa.array(X.tolist()), "label": names}), sink)
    return sink.getvalue().to_pybytes()


def hdf5_of_texts(folder: Path) -> Path:
    import h5py

    with h5py.File(folder / "data.h5", "w") as file:
        file["X"] = X
        file.create_dataset(
            "y", data=[["ant", "bee", "cat"][c] for c in Y], dtype=h5py.string_dtype()
        )
    return folder / "data.h5"


def hugging_face(folder: Path) -> Path:
    (folder / "data.arrow").write_bytes(arrow("stream"))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    return folder / "state.json"
