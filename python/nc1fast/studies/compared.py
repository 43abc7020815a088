"""NC1 of every construction on D1, the one comparison that all studies share: read from the rows of
any study.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, TypeAlias

from nc1fast.studies.measures import cells_of
from nc1fast.studies.summary import distinct, equal_classes, key, select

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nc1fast.studies.tidy import Row

    Constructions: TypeAlias = list[tuple[str, dict[float, tuple[float, float]]]]

NC1_PART = "nc1"  # of every experiment: its constructions on D1 (`experiment.nc1_on_d1`)
PLACES = (1, 8, 128)  # numbers of features
_SAMPLES = 256  # of an experiment's draw
_D1, _CONVENTION = "D1", "papyan"
# The columns that tell the constructions of a comparison of NC1 apart.
_KIND = ("model", "activation", "depth", "weight_variance", "parametrization", "noise", "state")
_LEFT_OUT = ("theory", "shuffled")  # states: an expectation, a control


def on_d1(rows: Sequence[Row]) -> Constructions:
    """Each construction with its NC1 and error at every d0: medians over the repeats, the largest
    bound.

    Parameters
    ----------
    rows : sequence of Row
        Measures of an experiment, those of its part nc1; or the table of a comparison of NC1, its
        balanced classes of D1 at the number of samples next to that of the experiments, at
        `PLACES`. What the released code computes is left out.
    """
    if rows and "quantity" in rows[0]:
        return _measured(rows)
    return _in_table(rows)


def _measured(rows: Sequence[Row]) -> Constructions:
    found: dict[str, dict[float, tuple[float, float]]] = {}
    for cell in cells_of(row for row in rows if row["part"] == NC1_PART):
        if cell.quantity == "nc1":
            median = statistics.median(cell.draws.values())
            numbers = (median, max(cell.errors.values()))
            found.setdefault(cell.thing, {})[float(cell.setting["d0"])] = numbers
    return [(thing, dict(sorted(line.items()))) for thing, line in found.items()]


def _in_table(rows: Sequence[Row]) -> Constructions:
    found = select(rows, _is_construction, dataset=_D1, convention=_CONVENTION)
    arms: dict[tuple[object, ...], str] = {}  # the first that has a construction
    kept = [r for r in found if arms.setdefault(key(r, _KIND), r["arm"]) == r["arm"]]
    lines = []
    for kind in dict.fromkeys(key(row, _KIND) for row in kept):
        of_kind = [row for row in kept if key(row, _KIND) == kind]
        nearest = min(
            distinct(of_kind, "N"), key=lambda n: (max(n, _SAMPLES) / min(n, _SAMPLES), -n)
        )
        some = select(of_kind, N=nearest)
        line = {
            float(d0): _median_and_bound(
                [row["nc1"] for row in select(some, d0=d0)],
                (row["error_bound"] for row in select(some, d0=d0)),
            )
            for d0 in sorted(distinct(some, "d0"))
        }
        lines.append((_named(some[0]) + f", N = {nearest}" * (nearest != _SAMPLES), line))
    return lines


def _is_construction(row: Row) -> bool:
    return (
        row["d0"] in PLACES
        and row["depth"] in (0, 2)
        and row["arm"] in ("balanced", "matched")
        and equal_classes(row)
        and row["state"] not in _LEFT_OUT
        and row["status"] == "ok"
        and not row["model"].startswith("compat.")
    )


def _named(row: Row) -> str:
    """Which construction a row of a table is of: "erf NTK", "ReLU network of width 500, end"."""
    activation = {"relu": "ReLU"}.get(row["activation"], row["activation"])
    model, width = row["model"], row["width"]
    variances = row["weight_variance"].replace(":", " and ")
    if model == "data":
        return "the data"
    if model in ("network", "empirical NTK"):
        tangent = ", NTK" * (model == "empirical NTK")
        return f"{activation} network of width {width}{tangent}, {row['state']}"
    if model in ("AdaptiveKernel", "mean field"):
        name = "adaptive kernel" if model == "AdaptiveKernel" else model
        return f"{activation} {name}, noise {row['noise']:g}, variances {variances}"
    if row["parametrization"] == "standard":
        return f"{activation} {model}, standard parametrization, width {width}"
    return f"{activation} {model}"


def _median_and_bound(found: Sequence[float], errors: Iterable[float]) -> tuple[float, float]:
    return statistics.median(found), max(errors)
