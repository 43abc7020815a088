"""The answer of tables in which the nearest kernel, the trends and the ties are known, and of
tables with gaps.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
from tests.study_rows import row

from nc1fast.studies.library.paper import STUDY, answer

START, END = "network at the start", "network at the end"
PUBLISHED, MATCHED = "adaptive (published prior)", "adaptive (matched prior)"

COLUMNS: dict[str, dict[str, Any]] = {
    START: {"model": "network", "state": "start"},
    END: {"model": "network", "state": "end"},
    "NNGP": {"model": "NNGP"},
    "NTK": {"model": "NTK", "parametrization": "ntk"},
    "NTK of the network": {
        "model": "NTK",
        "parametrization": "standard",
        "width": 500,
        "weight_variance": "1:3.8809",
    },
    PUBLISHED: {"model": "AdaptiveKernel"},
    MATCHED: {
        "arm": "matched",
        "model": "AdaptiveKernel",
        "weight_variance": "1:3.8809",
        "noise": 0.01,
    },
    "mean field": {
        "arm": "matched",
        "model": "mean field",
        "weight_variance": "1:3.8809",
        "noise": 0.01,
        "width": 500,
    },
}
GRID = {"sizes": ("64:64", "128:128"), "d0": (1, 8, 128), "repeats": 10}


def made(logs, *, datasets=("D1",), scatter=0.01, activation="erf", depth=2, **grid):
    """Rows with log NC1 = log10 d0 - 3 + logs[name](d0), or a number in place of the function, and
    scatter of each network.
    """
    grid = GRID | grid
    rng = np.random.default_rng(7)
    rows = []
    cells = itertools.product(datasets, grid["sizes"], grid["d0"], range(grid["repeats"]))
    for dataset, sizes, d0, repeat in cells:
        noise = scatter * rng.standard_normal()
        for name, shift in logs.items():
            value = math.log10(d0) - 3 + (shift(d0) if callable(shift) else shift)
            value += noise if name in (START, END) else 0.0
            where = {"dataset": dataset, "sizes": sizes, "N": sum(map(int, sizes.split(":")))}
            columns = {"d0": d0, "repeat": repeat, "seed": 100 * repeat + d0, "depth": depth}
            model = {"activation": activation, **COLUMNS[name]}
            rows.append(row(**model, **where, **columns, nc1=math.exp(value)))
    return rows


def nearest(answered, k=0):
    """Names marked in each row of a table."""
    shown = answered.tables[k]
    return [
        {name for name, cell in zip(shown.columns, line.cells, strict=True) if cell.nearest}
        for line in shown.rows
    ]


def test_the_nearest_kernel_is_found():
    found = answer(made({START: 0, END: 0, "NNGP": 0.5, "NTK": -0.2, PUBLISHED: 0.3}))
    assert nearest(found) == [{"NTK"}] * 3
    [text] = [s for s in found.sentences if s.startswith("Nearest")]
    assert "in 6 cells (erf, depth 2, N = 128, 256): NTK in 6 (clearly in 6)" in text
    assert "NNGP in 0" in text
    assert "clearly in 0" not in text
    assert [line.label for line in found.tables[0].rows] == ["d₀ = 1", "d₀ = 8", "d₀ = 128"]
    assert found.tables[0].title == "D1: erf, depth 2, 2 classes, N = 128, 256"
    assert "NTK of the network" not in " ".join(found.sentences)
    assert "mean field" not in " ".join((*found.sentences, found.uncertainty))


def test_another_kernel_can_be_nearest_at_each_d0():
    found = answer(
        made({END: 0, "NNGP": lambda d0: 0.01 * d0, PUBLISHED: lambda d0: 1.28 - 0.01 * d0})
    )
    assert nearest(found) == [{"NNGP"}, {"NNGP"}, {PUBLISHED}]


def test_kernels_at_equal_distance_cannot_be_told_apart():
    found = answer(made({END: 0, "NNGP": 0.1, "NTK": -0.1, PUBLISHED: 0.4}, scatter=0.03))
    assert nearest(found) == [{"NNGP", "NTK"}] * 3
    exact = answer(made({END: 0, "NNGP": 0.1, "NTK": 0.1, PUBLISHED: 0.4}))
    assert nearest(exact) == [{"NNGP", "NTK"}] * 3
    [text] = [s for s in exact.sentences if s.startswith("Nearest")]
    assert "NNGP in 6 (clearly in 0)" in text  # of equal ones the first


def test_equal_kernels_are_rarely_called_clearly_nearest():
    """Scatter that favours one of two kernels by chance passes a 95 % interval in one of twenty
    cells.
    """
    d0 = tuple(range(1, 101))
    found = answer(made({END: 0, "NNGP": 0.1, "NTK": -0.1}, d0=d0, scatter=0.05))
    [text] = [s for s in found.sentences if s.startswith("Nearest")]
    clear = [int(n) for n in re.findall(r"clearly in (\d+)", text)]
    assert 1 <= sum(clear) <= 24  # of 200 cells; binomial with p = 0.05: 10 +- 3


def trend_of(change, **logs):
    found = answer(made({START: 0, END: change, "NNGP": 0, PUBLISHED: 0} | logs, scatter=0.0))
    [text] = [s for s in found.sentences if s.startswith("Along")]
    return found, text


def test_trends_are_those_that_were_put_in():
    def fall(d0):
        return -0.1 * math.log(d0)

    found, text = trend_of(fall, **{PUBLISHED: lambda d0: 0.02 * math.log(d0), MATCHED: fall})
    network, published, matched = text.removeprefix("Along d₀, ").split("; ")
    assert "falls in 20 of 20 curves on D1, mean slope -0.1" in network
    assert "rises in 20 of 20 curves on D1, mean slope 0.02" in published
    assert "falls in 20 of 20 curves on D1, mean slope -0.1" in matched
    change = found.sentences[0].partition("Of the change that training brings, ")[2]
    assert change == f"{PUBLISHED} explains nothing (D1); {MATCHED} explains 100 % (D1)."


def test_a_kernel_that_does_not_change_has_no_trend():
    _, text = trend_of(lambda d0: -0.1 * math.log(d0))
    assert f"{PUBLISHED})/NC1(NNGP) rises in 0 of 20 curves" in text


def test_half_of_the_change():
    found, _ = trend_of(-0.2, **{PUBLISHED: -0.1})
    assert f"{PUBLISHED} explains 75 % (D1)" in found.sentences[0]


@pytest.mark.parametrize(
    ("spread", "words"), [(0.2, "For the most part: "), (0.5, "In part: "), (1.0, "Hardly: ")]
)
def test_the_first_words_follow_from_the_share(spread, words):
    """log NC1 of the networks takes -3, -2.1, -0.9 and a kernel is off by +-spread."""
    off_by = {1: spread, 8: -spread, 128: spread}
    found = answer(made({END: 0, "NNGP": off_by.get, "NTK": 3}))
    assert found.sentences[0].startswith(words)
    assert found.question.startswith("Can kernel methods explain")
    middle = np.array([math.log10(d0) for d0 in off_by])
    share = 1 - 3 * spread**2 / np.sum((middle - middle.mean()) ** 2)
    told = re.search(r"(nothing|\d+) ", found.sentences[0])[1]
    assert float(told.replace("nothing", "0")) == pytest.approx(100 * max(share, 0), abs=2)


def test_data_sets_are_told_one_by_one():
    rows = made({END: 0, "NNGP": 0.01, "NTK": 3}, datasets=("D1", "D2"))
    rows += [r | {"d0": 2, "dataset": "D3"} for r in made({END: 0, "NNGP": 0.5}, d0=(2,))]
    found = answer(rows)
    assert [shown.title.partition(":")[0] for shown in found.tables] == ["D1", "D2", "D3"]


def test_kernels_that_fewer_sizes_have_are_compared_on_those_alone():
    rows = made({START: 0, END: 0, "NNGP": 0.1, "NTK": 0.5, PUBLISHED: 0.2})
    few = made({MATCHED: 0.01, "mean field": -0.005}, sizes=("64:64",), scatter=0)
    found = answer([*rows, *few])
    basic, whole = [s for s in found.sentences if s.startswith("Nearest")]
    assert "in 6 cells (erf, depth 2, N = 128, 256): NNGP in 6" in basic
    assert "in 3 cells (erf, depth 2, N = 128): " in whole
    assert "mean field" not in basic
    assert found.tables[0].title.endswith("N = 128")
    assert all(marked <= {MATCHED, "mean field"} for marked in nearest(found))
    assert "adaptive (matched prior): noise 0.01, weight variances 1 and 3.8809." in (
        found.uncertainty
    )


def test_a_column_that_one_row_lacks_is_empty_there():
    rows = made({END: 0, "NNGP": 0.1, PUBLISHED: 0.2})
    rows += made({"mean field": 0.05}, d0=(8,), scatter=0)
    shown = answer(rows).tables[0]
    values = [line.cells[shown.columns.index("mean field")] for line in shown.rows]
    assert [math.isnan(cell.nc1) for cell in values] == [True, False, True]
    assert not values[0].nearest
    assert not any(math.isnan(line.cells[1].nc1) for line in shown.rows)


def test_values_without_a_logarithm_leave_their_repeat_out():
    rows = made({START: 0, END: 0, "NNGP": 0.1, PUBLISHED: 0.3})
    for bad in (math.nan, math.inf, 0.0, -1.0):
        broken = [
            r | {"nc1": bad} if (r["model"], r["repeat"]) == ("AdaptiveKernel", 4) else r
            for r in rows
        ]
        kept = [r for r in rows if (r["model"], r["repeat"]) != ("AdaptiveKernel", 4)]
        assert repr(answer(broken)) == repr(answer(kept))
        assert nearest(answer(broken)) == [{"NNGP"}] * 3


def test_a_single_repeat_names_the_nearest_without_an_interval():
    found = answer(made({END: 0, "NNGP": 0.1, "NTK": 0.3}, repeats=1, scatter=0))
    cell = found.tables[0].rows[0].cells[1]
    assert cell.distance == pytest.approx(0.1)
    assert math.isnan(cell.distance_low)
    assert nearest(found) == [{"NNGP"}] * 3
    assert "NNGP in 6 (clearly in 0)" in " ".join(found.sentences)
    assert "nan" not in " ".join(found.sentences)


def test_one_cell_is_enough():
    found = answer(made({END: 0, "NNGP": 0.1, "NTK": 0.3}, d0=(8,), sizes=("64:64",)))
    assert found.sentences[0] == "Nearest to trained networks is the NNGP, in 1 of 1 cell."
    assert not any(s.startswith("Along") for s in found.sentences)


def test_kernels_that_no_network_has_together():
    ends = made({END: 0})
    apart = made({"NNGP": 0.1}, sizes=("64:64",)) + made({PUBLISHED: 0.1}, sizes=("128:128",))
    assert len(answer([*ends, *apart]).tables) == 1
    even = made({END: 0, "NNGP": 0.1, PUBLISHED: 0.2})
    odd = [r for r in even if r["model"] == "network" or (r["repeat"] + (r["model"] == "NNGP")) % 2]
    assert answer(odd).sentences


def test_other_activations_and_depths_get_a_sentence_each():
    rows = made({START: 0, END: 0, "NNGP": 0.1, "NTK": 0.3})
    rows += made({START: 0, END: 0, "NNGP": 0.2, "NTK": 0.05}, activation="relu")
    deep = made({START: 0, END: 0, "NNGP": 0.2, "NTK": 0.4}, depth=3)
    rows += [r | {"arm": "deeper"} for r in deep]
    found = answer(rows)
    assert len(found.tables) == 1
    relu, deeper = found.sentences[-2:]
    assert relu.startswith(
        "relu, depth 2: of NNGP and NTK, the NTK is nearest, or cannot be told from the nearest, "
        "in 6 of 6 cells"
    )
    assert deeper.startswith("erf, depth 3: of NNGP and NTK, the NNGP is nearest")


def test_tables_without_an_answer():
    rows = made({START: 0, END: 0, "NNGP": 0.1})
    assert answer([]) is None
    assert answer([r for r in rows if r["model"] != "network"]) is None
    assert answer([r for r in rows if r["model"] == "network"]) is None
    assert answer([r | {"sizes": "32:96"} for r in rows]) is None
    assert answer([r | {"noise": 0.01} for r in rows]) is None  # trained by Langevin noise
    moved = [r | {"seed": 1 + r["seed"] * (r["model"] == "network")} for r in rows]
    assert answer(moved) is None  # kernels of other draws
    assert repr(STUDY.answer(rows)) == repr(answer(rows))  # NaN is not equal to itself


def test_networks_of_a_second_width_or_arm_do_not_enter():
    rows = made({START: 0, END: 0, "NNGP": 0.1})
    wide = [r | {"width": 64, "nc1": 7 * r["nc1"]} for r in rows if r["model"] == "network"]
    later = [r | {"arm": "long", "nc1": 9 * r["nc1"]} for r in rows]
    assert repr(answer([*rows, *wide, *later])) == repr(answer(rows))
