"""Passes that are divided into rectangles: they cover every pair once, and have the bits of one
rectangle.
"""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from tests.cases import FEW, assert_same_sums, class_sums, data, each_dtype, least_memory

import nc1fast as nc
from nc1fast import _core
from nc1fast.inputs.files import as_source
from nc1fast.inputs.labelled import LabelledData
from nc1fast.sums import streaming
from nc1fast.sums.rectangles import divided, part_of
from nc1fast.sums.settings import Settings

RELU = nc.NTK("relu", bias_variance=0.1)
KERNELS = [
    nc.Linear(1.3, 0.2),
    nc.NNGP("relu", bias_variance=(0.2, 0.0)),
    RELU,
    nc.NTK("erf", bias_variance=0.1),
    nc.NTK("gelu", depth=3, weight_variance=(1.5, 1.2, 0.9), bias_variance=0.1),
]
STEP = 48


def _coverage(rectangles, n_rows):
    """How often each pair of panels is covered; sides must be whole panels, later columns or the
    same rows.
    """
    panels = -(-n_rows // STEP)
    covered = np.zeros((panels, panels), dtype=int)
    for a, b, c, d in rectangles:
        assert a % STEP == c % STEP == 0
        assert all(end % STEP == 0 or end == n_rows for end in (b, d))
        assert (a, b) == (c, d) or a < b <= c < d
        covered[a // STEP : -(-b // STEP), c // STEP : -(-d // STEP)] += 1
    return covered[np.triu_indices(panels)]


@pytest.mark.parametrize("n_rows", [1, 48, 49, 1000, 4803])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 300])
def test_parts_cover_every_pair_once(n_rows, count):
    parts = [part_of(n_rows, (index, count), STEP) for index in range(count)]
    assert (sum(_coverage(part, n_rows) for part in parts) == 1).all()


def test_parts_beyond_the_rows_are_empty():
    assert part_of(100_000, (199_999, 200_000), STEP) == []
    parts = [part_of(60, (index, 120), STEP) for index in range(120)]
    assert (sum(_coverage(part, 60) for part in parts) == 1).all()


def test_parts_are_nearly_equal_and_need_few_rows():
    n_rows = 100_000
    for count in (2, 3, 7, 64, 300):
        for index in range(count):
            part = part_of(n_rows, (index, count), STEP)
            pairs = sum((b - a) * (d - c) / (1 + (a == c)) for a, b, c, d in part)
            assert 0.8 <= pairs / (n_rows**2 / 2 / count) <= 1.25
            rows = {(a, b) for a, b, *_ in part} | {(c, d) for *_, c, d in part}
            if count == 300:
                assert sum(b - a for a, b in rows) <= 0.2 * n_rows


@pytest.mark.parametrize("room", [96, 144, 480, 1200, 10**6])
def test_divided_rectangles_fit_and_cover_the_same_pairs(room):
    rectangles = part_of(4803, (1, 3), STEP)
    pieces = divided(rectangles, room, STEP)
    np.testing.assert_array_equal(_coverage(pieces, 4803), _coverage(rectangles, 4803))
    for a, b, c, d in pieces:
        assert (b - a) + (0 if a == c else d - c) <= room


# --- parts and blocks ---


@each_dtype
@pytest.mark.parametrize("statistics", ["sums", "all"])
def test_any_division_has_the_bits_of_one_rectangle(dtype, statistics):
    X, y = data(FEW)
    settings = {"dtype": dtype, "statistics": statistics}
    whole = class_sums(X, y, KERNELS, **settings)
    for count in (2, 5):
        parts = [class_sums(X, y, KERNELS, part=(i, count), **settings) for i in range(count)]
        joined = [sum(rest, first) for first, *rest in zip(*parts[::-1], strict=True)]
        assert_same_sums(joined, whole)


@each_dtype
@pytest.mark.parametrize("n_threads", [1, 3])
def test_blocks_under_a_memory_limit_have_the_bits_of_one_rectangle(dtype, n_threads):
    X, y = data(FEW)
    whole = class_sums(X, y, RELU, dtype=dtype)
    least = least_memory(X, y, RELU, dtype=dtype, n_threads=n_threads)
    for limit in (least, least + 50_000, least + 150_000, 10**9):
        blocks = class_sums(X, y, RELU, dtype=dtype, memory_limit=limit, n_threads=n_threads)
        assert_same_sums([blocks], [whole])


def test_a_part_under_a_memory_limit_is_that_part():
    X, y = data(FEW)
    least = least_memory(X, y, RELU, statistics="sums")
    for index in range(3):
        part = {"part": (index, 3), "statistics": "sums"}
        bounded = class_sums(X, y, RELU, memory_limit=least + 20_000, **part)
        np.testing.assert_array_equal(
            bounded.exact.block, class_sums(X, y, RELU, **part).exact.block
        )


def test_a_survey_stands_for_the_rows_that_a_part_does_not_read(tmp_path):
    """The file of a part holds NaN where its rows are not: they are never looked at."""
    X, y = data(FEW)
    labelled, settings = LabelledData.of(X, y), Settings(n_threads=2)
    survey = pickle.loads(pickle.dumps(streaming.survey(labelled, [RELU], settings)))
    order = np.argsort(labelled.classes.of_row, kind="stable")
    count, read, parts = 12, set(), []
    for index in range(count):
        used = np.zeros(len(y), dtype=bool)
        for a, b, c, d in part_of(len(y), (index, count), _core.row_step()):
            used[order[a:b]] = used[order[c:d]] = True
        read.add(int(used.sum()))
        path = tmp_path / f"{index}.npy"
        np.save(path, np.where(used[:, None], X, np.nan))
        (sums,) = streaming.kernel_sums(
            LabelledData(as_source(path), labelled.classes),
            [RELU],
            settings,
            part=(index, count),
            surveyed=survey,
        )
        parts.append(sums)
    assert min(read) < len(y)
    assert_same_sums([sum(parts[1:], parts[0])], [class_sums(X, y, RELU)])
