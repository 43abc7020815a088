"""What a pass launches on a device, counted from its plan and held to the table of cuda/README.md.

No device is needed.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

# Rows of a panel, what its depth is a multiple of, bytes of the L2 cache of an H100.
WIDTH, STEP, L2 = 64, 8, 50e6
README = Path(__file__).parents[1] / "cuda" / "README.md"
MILLION = [100_000] * 10


@pytest.fixture(scope="module")
def plan():
    shim = pytest.importorskip("nc1fast._shim._cuda", reason="built without NC1FAST_SHIM=ON")
    return shim.plan


def _units(sizes):
    """Pairs P <= Q of panels with two rows of one class, and with two of different ones, by the
    classes of all rows.
    """
    classes = np.repeat(np.arange(len(sizes)), sizes)
    panels = [set(classes[i : i + WIDTH].tolist()) for i in range(0, len(classes), WIDTH)]
    within = between = 0
    for p, a in enumerate(panels):
        for b in panels[p:]:
            within += bool(a & b)
            between += len(a | b) > 1
    return within, between


@pytest.mark.parametrize("seed", range(8))
def test_every_unit_with_work_is_launched_once(plan, seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, rng.choice([20, 300, 4000]), rng.integers(1, 12)).tolist()
    found = plan(sizes, int(rng.integers(1, 900)), bool(seed % 2))
    for counts, units in zip((found["within"], found["between"]), _units(sizes), strict=True):
        assert counts["units"] == units
        assert counts["blocks"] >= units
        assert (counts["launches"] > 0) == (counts["blocks"] > 0)


def _minimum(depth, single):
    """Bytes from memory that all pairs of a million packed rows cost at least, with a cache of s
    bytes.

    Between classes another stripe of s begins for every s of the b bytes of rows, and reads the
    rest: b^2/(2 s), but each row once; within classes each row once again, packed about its mean.
    """
    rows = 1e6 * ((depth + STEP - 1) // STEP * STEP * (4 if single else 8))
    return max(rows**2 / (2 * L2), rows) + rows


def _tabled():
    """Rows of the table: type, d0, launches, blocks per unit, GB."""
    for line in README.read_text().splitlines():
        if found := re.match(r"\| (float\d\d) \| (\d+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \|$", line):
            yield found.groups()


@pytest.mark.parametrize("depth", [2, 32, 128, 784])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_million_rows_are_few_launches_of_full_grids(plan, dtype, depth):
    counts = plan(MILLION, depth, dtype == "float32")
    launches = sum(one["launches"] for one in counts.values())
    blocks = sum(one["blocks"] for one in counts.values())
    units = sum(one["units"] for one in counts.values())
    moved = sum(one["bytes"] for one in counts.values())
    assert blocks / units <= 1.1
    assert launches <= 2000
    assert moved <= 3 * _minimum(depth, dtype == "float32")
    row = [one for one in _tabled() if one[:2] == (dtype, str(depth))]
    assert row == [
        (dtype, str(depth), str(launches), f"{blocks / units:.2f}", f"{moved / 1e9:.1f}")
    ]


def test_malformed_plans_are_refused(plan):
    for sizes, depth in (([], 3), ([0, 4], 3), ([4], 0)):
        with pytest.raises(ValueError, match="must be positive"):
            plan(sizes, depth, True)
