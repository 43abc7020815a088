"""The committed tables of the atlas: what is written is read back, and the small form tells the
same claims.
"""

from __future__ import annotations

import math
import statistics
import sys
from pathlib import Path

import numpy as np
import pytest
from tests import measure_rows as made

from nc1fast.studies import measures
from nc1fast.studies.findings import rules
from nc1fast.studies.findings.finding import Claim, Finding
from nc1fast.studies.findings.measured import Range, of_means, verdict
from nc1fast.studies.page import bound

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "ci" / "atlas_tables.py").is_file():
    pytest.skip("the tables are not part of this source distribution", allow_module_level=True)
sys.path.insert(0, str(ROOT / "ci"))

import atlas_tables
from atlas_tables import Form


def some_rows():
    """Numbers of all sizes, a failure, a repeat that lacks, a number measured twice, errors known
    and not.
    """
    random = np.random.default_rng(3)
    rows = [
        made.row(v, repeat=k, error=e, d0=8)
        for k, (v, e) in enumerate(
            zip((random.normal(size=9) * 1e-5).tolist(), random.random(9).tolist(), strict=True)
        )
        if k != 4
    ]
    rows += [made.row(v, "r", "a, b", repeat=0) for v in (math.pi, -1e300, 5e-324, math.inf)]
    rows += [made.row(0.0, "s", repeat=k, error=(0.0, math.nan)[k]) for k in (0, 1)]
    rows += [made.row(math.nan, "", "", repeat=2) | {"status": "failed: one, two"}]
    return rows


def as_set(rows):
    names = (*measures.CELL, "repeat", "value", "error", "status")
    return sorted(repr([row[name] for name in names]) for row in rows)


def test_a_table_reads_back_to_the_same_bits():
    assert as_set(atlas_tables.read(atlas_tables.written(some_rows()))) == as_set(some_rows())


def test_what_a_form_leaves_out():
    rows = some_rows()
    read = atlas_tables.read(
        atlas_tables.written(rows, Form({"p": 6}, 3, largest=True, ditto=True))
    )
    assert {row["repeat"] for row in read} <= {0, 1, 2}
    assert len(read) == sum(row["repeat"] < 3 for row in rows)
    of_q = [row for row in read if row["quantity"] == "q"]
    first = [row for row in rows if row["quantity"] == "q"][:3]
    for row, whole in zip(of_q, first, strict=True):
        assert row["value"] == float(f"{whole['value']:.6g}")
        assert row["error"] >= whole["error"]
    assert of_q[0]["error"] == pytest.approx(max(row["error"] for row in first), rel=0.11)
    assert math.isnan(next(r for r in read if r["quantity"] == "s" and r["repeat"])["error"])


@pytest.mark.parametrize("value", [1.4e-15, 9.91e-10, 0.25, 3.0, 5e-324, 1.7e308, 0.0, math.inf])
def test_bounds_are_never_rounded_down(value):
    read = atlas_tables.read(atlas_tables.written([made.row(1.0, error=value)], Form(largest=True)))
    assert value <= read[0]["error"]
    assert read[0]["error"] <= value * 1.1 or value < 1e-300
    assert value <= float(bound(value))
    assert float(bound(value)) <= 2.01 * value or value < 1e-300
    assert bound(math.nan) == "–"  # noqa: RUF001


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("part,thing\n", "the columns must be"),
        (",".join(atlas_tables.COLUMNS) + "\np,t,,q,ok,0-2,1 2,\n", "not one value"),
        (",".join(atlas_tables.COLUMNS) + "\np,t,,q,ok,0-2,1 2 3,1 2\n", "not one value"),
    ],
)
def test_damaged_tables_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        atlas_tables.read(text)


def noisy(n_repeats):
    random = np.random.default_rng(5)
    return [
        made.row(v, repeat=k, x=x)
        for x in range(40)
        for k, v in enumerate(random.normal(1, 0.1, n_repeats))
    ]


def claim(letter, title, words, number, *details):
    finding = Finding(letter, title, title, verdict(words), "", details)
    return Claim(letter, finding, {w: words.count(w) for w in words}, number, details)


def in_one_line(rows):
    """A claim whose line has three digits of the mean."""
    mean = statistics.fmean(row["value"] for row in rows)
    words = [one.word for one in of_means(measures.cells_of(rows), Range(0.5, 2))]
    return [claim("A1", "about 1", words, f"mean {mean:.3g}", f"{len(rows)} numbers")]


def test_the_fullest_form_that_fits_is_taken():
    rows = noisy(10)
    whole = len(atlas_tables.written(rows).encode())
    text, form = atlas_tables.fitted(rows, in_one_line, whole + 1)
    assert (text, form) == (atlas_tables.written(rows), Form())
    short = len(atlas_tables.written(rows, Form({"p": 6}, largest=True, ditto=True)).encode())
    _, form = atlas_tables.fitted(rows, in_one_line, short + 1)
    assert form == Form({"p": 6}, None, largest=True, ditto=True)
    assert form.told(10).startswith("values of the parts p to 6 digits")
    text, form = atlas_tables.fitted(rows, in_one_line, int(whole * 0.4))
    assert form.repeats in range(6, 10)
    assert len(text.encode()) < whole * 0.4
    assert "first" in form.told(10)
    with pytest.raises(ValueError, match="no form of the table is below 1000 bytes"):
        atlas_tables.fitted(rows, in_one_line, 1000)


def test_digits_that_a_claim_needs_stay():
    """Differences of 1e-12 are judged: rounded values would all be equal, and fewer repeats are
    taken instead.
    """
    rows = [
        made.row(1 / (3 + x) * (1 + 1e-13 * k), thing, repeat=k, x=x)
        for thing in ("a", "b")
        for x in range(30)
        for k in range(10)
    ]

    def close(rows):
        base = {r["setting"]: r["value"] for r in rows if r["repeat"] == 0}
        told = [
            rules.HOLDS if abs(r["value"] / base[r["setting"]] - 1) < 1e-12 else rules.FAILS
            for r in rows
        ]
        drift = max(abs(r["value"] / base[r["setting"]] - 1) for r in rows)
        return [claim("B1", "close", told, f"{drift:.2g}")]

    whole = len(atlas_tables.written(rows).encode())
    _, form = atlas_tables.fitted(rows, close, int(whole * 0.9))
    assert form == Form({}, form.repeats, largest=True, ditto=True)
    assert form.repeats < 10


def test_only_parts_whose_numbers_need_them_keep_their_digits():
    rows = [*noisy(10), *(made.row(1 / 3 + 1e-13 * k, part="exact", repeat=k) for k in range(9))]

    def both(rows):
        drift = np.ptp([row["value"] for row in rows if row["part"] == "exact"])
        told = in_one_line([row for row in rows if row["part"] == "p"])
        return [*told, claim("B1", "close", [rules.HOLDS], f"{drift:.2g}")]

    short = len(atlas_tables.written(rows, Form({"p": 6}, largest=True, ditto=True)).encode())
    text, form = atlas_tables.fitted(rows, both, short + 1)
    assert form == Form({"p": 6}, largest=True, ditto=True)
    exact = [row["value"] for row in atlas_tables.read(text) if row["part"] == "exact"]
    assert exact == [row["value"] for row in rows if row["part"] == "exact"]


def test_a_table_whose_verdicts_would_change_is_refused():
    rows = noisy(10)

    def needs_all(rows):
        word = rules.HOLDS if len(rows) == 400 else rules.FAILS
        return [claim("C1", "all", [word], "")]

    with pytest.raises(ValueError, match="no form"):
        atlas_tables.fitted(rows, needs_all, 4000)
