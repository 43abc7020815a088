"""Pickles of plain data are read; a pickle that asks for anything else runs nothing."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from nc1fast.datasets.pickles import loads_plain


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["?", "u1", "<i2", ">i4", "<i8", "<f4", ">f8"])
def test_arrays_come_back(protocol, dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    content = {"data": array, "across": np.asfortranarray(array), "labels": [1, 2], "name": "a"}
    found = loads_plain(pickle.dumps(content, protocol=protocol))
    assert found["labels"] == [1, 2]
    for name in ("data", "across"):
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.array([None, "a"]), "type 'O8', numbers are needed"),
        (np.dtype("i4"), "no pickle"),
        (print, "asks for builtins.print"),
        ({"a": {1, 2}.union}, "asks for builtins.getattr"),
        (np.zeros(3, "i4,f8"), "numbers are needed"),
    ],
)
def test_pickles_of_more_than_plain_data(value, words):
    content = pickle.dumps(value)
    if words == "no pickle":
        assert not isinstance(loads_plain(content), np.dtype)  # a stand-in, which does nothing
        return
    with pytest.raises(ValueError, match=words):
        loads_plain(content)


def test_an_array_never_holds_more_than_its_bytes():
    content = pickle.dumps(np.zeros(4, np.uint8), protocol=2)
    lied = content.replace(b"K\x04\x85", b"J\xff\xff\xff\x7f\x85")  # shape (4,) -> (2^31 - 1,)
    assert lied != content
    with pytest.raises(ValueError, match=r"an array of shape \(2147483647,\) with 4 bytes"):
        loads_plain(lied)


def test_a_damaged_pickle_gives_data_or_an_error():
    rng = np.random.default_rng(3)
    content = pickle.dumps(
        {b"data": np.arange(9, dtype=np.uint8)[None], b"labels": [1]}, protocol=2
    )
    refused = 0
    for _ in range(2000):
        data = bytearray(content)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            data[at] = rng.integers(0, 256)
        try:
            loads_plain(bytes(data))
        except ValueError:
            refused += 1
    assert refused > 100
