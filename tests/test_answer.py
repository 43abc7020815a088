"""The answer of the committed study: every number of it computed again from the CSV, with NumPy
alone.
"""

from __future__ import annotations

import csv
import functools
import itertools
import math
import re
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nc1fast.studies.library.paper import answer

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "ci" / "study_quotes.py").is_file():
    pytest.skip("the study is not part of this source distribution", allow_module_level=True)
sys.path.insert(0, str(ROOT / "ci"))

import study_quotes

PAPER = ROOT / "docs" / "paper"
START, END = "network at the start", "network at the end"
PUBLISHED, MATCHED = "adaptive (published prior)", "adaptive (matched prior)"
BASIC = ["NNGP", "NTK", "NTK of the network", PUBLISHED]
ALL = [*BASIC, MATCHED, "mean field"]
NUMBER = r"-?[\d.]+(?:e[-+]?\d+)?"
INTERVAL = rf"({NUMBER})(?: \(({NUMBER}) to ({NUMBER})\))?"


def named(line, network):
    """The name under which a line of the CSV stands beside a network, from its fields."""
    model, state, own = line["model"], line["state"], line["weight_variance"] == network["weight"]
    if model == "network" and line["arm"] == network["arm"] and own:
        return {"start": START, "end": END}.get(state)
    if state:
        return None
    if model in ("NNGP", "NTK") and line["arm"] == network["arm"]:
        plain = {"NNGP": "NNGP", "NTK": "NTK"}[model]
        return plain if line["width"] == "0" else "NTK of the network"
    if model == "AdaptiveKernel" and (line["weight_variance"], line["noise"]) == (
        "1:0.0078125",
        "1e-06",
    ):
        return PUBLISHED
    return {"AdaptiveKernel": MATCHED, "mean field": "mean field"}.get(model) if own else None


@functools.cache
def logarithms(activation, depth):
    """log NC1 by name, then by (dataset, N, d0, repeat)."""
    with (PAPER / "table.csv").open(newline="") as file:
        lines = [r for r in csv.DictReader(file) if len(set(r["sizes"].split(":"))) == 1]
    kept = [r for r in lines if (r["activation"], r["depth"]) == (activation, str(depth))]
    first = next(
        r for r in kept if r["model"] == "network" and r["state"] == "end" and not r["noise"]
    )
    network = {"arm": first["arm"], "weight": first["weight_variance"]}
    out: dict[str, dict[Any, float]] = {name: {} for name in (START, END, *ALL)}
    draws = {}
    for line in kept:
        name = named(line, network)
        place = (line["dataset"], int(line["N"]), int(line["d0"]), int(line["repeat"]))
        if name and line["convention"] == first["convention"] and float(line["nc1"]) > 0:
            if name == END:
                draws[place] = line["seed"]
            assert draws.setdefault(place, line["seed"]) == line["seed"]
            out[name].setdefault(place, math.log(float(line["nc1"])))
    return {name: values for name, values in out.items() if values}


def shared(logs, names):
    """The places that all of the names have."""
    return sorted(set.intersection(*(set(logs[name]) for name in (END, *names))))


def student(matrix):
    """Mean and 95 % interval of the column means of an array (cells, repeats)."""
    means = np.mean(matrix, axis=0)
    low, high = stats.t.interval(0.95, len(means) - 1, np.mean(means), stats.sem(means))
    return np.mean(means), low, high


def by_cell(places, value):
    """An array (cells, repeats) over the repeats that all cells have."""
    cells = {place[:3] for place in places}
    every = Counter(place[3] for place in places)
    kept = sorted(place for place in places if every[place[3]] == len(cells))
    return np.array([value(place) for place in kept]).reshape(len(cells), -1)


def cell_means(places, value):
    cells = itertools.groupby(sorted(places), key=lambda place: place[:3])
    return np.array([np.mean([value(place) for place in members]) for _, members in cells])


def off(logs, name, other=END):
    return lambda place: abs(logs[name][place] - logs[other][place])


def of(places, dataset):
    return [place for place in places if place[0] == dataset]


def ranking(logs, names, places):
    """The nearest name of some places, and whether it is clearly so."""
    distances = {name: by_cell(places, off(logs, name)) for name in names}
    best = min(names, key=lambda name: np.mean(distances[name]))
    lows = [student(distances[name] - distances[best])[1] for name in names if name != best]
    return best, all(low > 1e-9 for low in lows)


def close(texts, expected):
    """Printed numbers are the expected ones to half a unit of the last digit; an interval without a
    width is not printed.
    """
    for text, value in zip(texts, expected, strict=True):
        printed = Decimal(text or texts[0])
        unit = 10.0 ** printed.as_tuple().exponent
        assert float(printed) == pytest.approx(value, abs=0.51 * unit)


@pytest.fixture(scope="module")
def told():
    return answer(study_quotes.committed(PAPER))


def compared(told):
    """The kernels of each sentence that counts cells, with that sentence and the next, on
    distances.
    """
    sentences = told.sentences
    found = [k for k, text in enumerate(sentences) if text.startswith("Nearest to the trained")]
    assert found
    for k in found:
        yield [name for name in ALL if f"{name} in " in sentences[k]], sentences[k : k + 2]


def test_counts_of_cells_in_which_a_kernel_is_nearest(told):
    logs = logarithms("erf", 2)
    for names, (text, _) in compared(told):
        places = shared(logs, names)
        cells = [list(m) for _, m in itertools.groupby(places, key=lambda place: place[:3])]
        ranks = [ranking(logs, names, cell) for cell in cells]
        first, clear = Counter(b for b, _ in ranks), Counter(b for b, sure in ranks if sure)
        assert f"in {len(cells)} cells" in text
        for name in names:
            told_of = f"{name} in {first[name]}"
            assert told_of + (f" (clearly in {clear[name]})" if first[name] else "") in text


def test_mean_distances_of_the_data_sets(told):
    logs = logarithms("erf", 2)
    for names, (_, text) in compared(told):
        places = shared(logs, names)
        for dataset, part in zip(
            ("D1", "D2"), text.partition(": on D1 ")[2].split("; on D2 "), strict=True
        ):
            for name in names:
                [numbers] = re.findall(
                    rf"(?:^|, ){re.escape(name)} {INTERVAL}", part.removesuffix(".")
                )
                close(numbers, student(by_cell(of(places, dataset), off(logs, name))))


def test_distance_before_training(told):
    logs = logarithms("erf", 2)
    [text] = [s for s in told.sentences if s.startswith("Before training")]
    places = shared(logs, [START, "NNGP"])
    for *numbers, dataset in re.findall(rf"{INTERVAL} on (D\d)", text):
        gap = by_cell(of(places, dataset), off(logs, START, "NNGP"))
        close(numbers, student(gap))
    assert text.endswith("the scatter of width 500.")


def test_trends_along_the_features(told):
    logs = logarithms("erf", 2)
    [text] = [s for s in told.sentences if s.startswith("Along d₀")]
    pairs = [(END, START), *((name, "NNGP") for name in ALL[3:] if name in logs)]
    parts = text.removeprefix("Along d₀, ").removesuffix(".").split("; ")
    for part, (upper, lower) in zip(parts, pairs, strict=True):
        assert part.startswith(f"log NC1({upper})/NC1({lower}) ")
        pattern = rf"(falls|rises) in (\d+) of (\d+) curves on (D\d), mean slope {INTERVAL}"
        found = re.findall(pattern, part)
        assert found
        for word, agreeing, n, dataset, *numbers in found:
            places = of(shared(logs, [upper, lower]), dataset)
            curves = sorted({(p[1], p[3]) for p in places})
            slopes = {}
            for size, repeat in curves:
                mine = [p for p in places if (p[1], p[3]) == (size, repeat)]
                change = [logs[upper][p] - logs[lower][p] for p in mine]
                if len(mine) > 2:
                    slopes[size, repeat] = np.polyfit(np.log([p[2] for p in mine]), change, 1)[0]
            every = Counter(repeat for _, repeat in slopes)
            whole = [repeat for repeat, k in every.items() if k == max(every.values())]
            mean = [np.mean([v for (_, r), v in slopes.items() if r == repeat]) for repeat in whole]
            expected = student(np.array([mean]))
            close(numbers, expected)
            assert word == ("falls" if expected[0] < 0 else "rises")
            along = sum(np.sign(v) == np.sign(expected[0]) for v in slopes.values())
            assert (int(agreeing), int(n)) == (along, len(slopes))


def percentages(text):
    """Shares by data set: "98 % (D1) and 95 % (D2)"."""
    found = {}
    for share, datasets in re.findall(r"(nothing|\d+ %) \(([^)]*)\)", text):
        for dataset in datasets.split(" and "):
            found[dataset] = 0 if share == "nothing" else int(share.split()[0])
    return found


def test_shares_that_kernels_explain(told):
    logs = logarithms("erf", 2)
    level, change = told.sentences[0].split(" Of the change that training brings, ")
    best = re.search(r": the (.+?),? (?:the kernel|a kernel|explains)", level)[1]
    names, _ = next(compared(told))
    for dataset, share in percentages(level).items():
        places = of(shared(logs, names), dataset)
        k, t = (cell_means(places, logs[name].get) for name in (best, END))
        expected = 1 - np.sum((k - t) ** 2) / np.sum((t - t.mean()) ** 2)
        assert share == math.floor(100 * max(expected, 0))
    parts = change.removesuffix(".").split("; ")
    for part, name in zip(parts, [name for name in ALL[3:] if name in logs], strict=True):
        assert part.startswith(name)
        for dataset, share in percentages(part.partition("explains")[2]).items():
            places = of(shared(logs, [name, START, "NNGP"]), dataset)
            t = cell_means(places, lambda p: logs[END][p] - logs[START][p])
            k = cell_means(places, lambda p, n=name: logs[n][p] - logs["NNGP"][p])
            assert share == math.floor(100 * max(1 - np.sum((k - t) ** 2) / np.sum(t**2), 0))


def test_sentences_on_further_activations_and_depths(told):
    found = [s for s in told.sentences if re.match(r"\w+, depth \d: of ", s)]
    assert found
    for text in found:
        activation, depth, listed, best = re.match(
            r"(\w+), depth (\d): of (.+), the (.+?) is nearest", text
        ).groups()
        logs = logarithms(activation, int(depth))
        names = re.split(", | and ", listed)
        places = shared(logs, names)
        cells = [list(m) for _, m in itertools.groupby(places, key=lambda place: place[:3])]
        near = 0
        for cell in cells:
            distances = {name: by_cell(cell, off(logs, name)) for name in names}
            least = min(distances.values(), key=np.mean)
            near += bool(
                np.mean(distances[best] - least) <= 1e-9
                or student(distances[best] - least)[1] <= 1e-9
            )
        assert f"in {near} of {len(cells)} cells" in text
        middle, _, before = text.partition("; before training ")
        for *numbers, dataset in re.findall(rf"{INTERVAL} on (D\d)", middle):
            close(numbers, student(by_cell(of(places, dataset), off(logs, best))))
        for *numbers, dataset in re.findall(rf"{INTERVAL} on (D\d)", before):
            gap = by_cell(of(places, dataset), off(logs, START, "NNGP"))
            close(numbers, student(gap))


def test_tables(told):
    logs = logarithms("erf", 2)
    for shown in told.tables:
        assert shown.columns == (END, *ALL)
        dataset = shown.title.partition(":")[0]
        sizes = sizes_of(shown.title)
        for line in shown.rows:
            features = int(re.match(r"d₀ = (\d+)", line.label)[1])
            mine = sizes_of(line.label) or sizes
            known = [name for name in ALL if name in logs and not blank(line, name)]
            places = [
                p
                for p in shared(logs, known)
                if (p[0], p[2]) == (dataset, features) and p[1] in mine
            ]
            assert {p[1] for p in places} == set(mine)
            distances = {name: by_cell(places, off(logs, name)) for name in known}
            best, _ = ranking(logs, known, places)
            for name, cell in zip(shown.columns, line.cells, strict=True):
                if name != END and name not in known:
                    continue
                nc1 = np.exp(student(by_cell(places, logs[name].get)))
                assert (cell.nc1, cell.low, cell.high) == pytest.approx(tuple(nc1), rel=1e-9)
                if name == END:
                    assert math.isnan(cell.distance)
                    assert not cell.nearest
                    continue
                middle, low, high = student(distances[name])
                found = (cell.distance, cell.distance_low, cell.distance_high)
                assert found == pytest.approx((middle, max(low, 0), high), rel=1e-9)
                gap = distances[name] - distances[best]
                assert cell.nearest == (name == best or student(gap)[1] <= 1e-9)


def sizes_of(text):
    """The N that a title or a label ends with."""
    return [int(n.replace(",", "")) for n in text.partition("N = ")[2].split(", ") if n]


def blank(line, name):
    return math.isnan(line.cells[(END, *ALL).index(name)].nc1)
