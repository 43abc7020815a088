"""Experiments, the atlas over them, and the family between NTK and NNGP."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests import measure_rows as made
from tests.browser import CHROMIUM, Browser

import nc1fast as nc
from nc1fast import studies
from nc1fast.cli import main
from nc1fast.studies import atlas, journal, library, measures, report
from nc1fast.studies.experiment import grid, part
from nc1fast.studies.figures.panels import legible
from nc1fast.studies.findings import rules
from nc1fast.studies.findings.compare import span
from nc1fast.studies.findings.measured import Range, mean, of_draws, of_means
from nc1fast.studies.library.entry import experiment
from nc1fast.studies.measures import Measure, cells_of
from nc1fast.studies.quantities import measured

TINY = """
name: unified-kernel
title: Tiny
seed: 3
repeats: 2
parts:
  - {part: mixtures, activation: [relu], d0: [2, 5], n_samples: 24, shares: [0, 0.4, 1]}
  - {part: nc1, d0: [1, 8], n_samples: 24}
"""


def _row(value, error=0.0, **columns):
    return made.row(value, error=error) | columns


def _words(judge, rows, allowed):
    return [one.word for one in judge(cells_of(rows), allowed)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas") / "unified-kernel"
    studies.run(studies.parse(TINY), folder)
    report.build(folder)
    return folder


# --- words


@pytest.mark.parametrize(
    ("value", "error", "word"),
    [
        (0.5, 0.1, rules.HOLDS),
        (0.5, np.nan, rules.HOLDS),
        (1.5, 0.1, rules.FAILS),
        (1.0, 0.1, rules.UNDECIDED),
    ],
)
def test_the_word_of_an_exact_number(value, error, word):
    assert _words(of_draws, [_row(value, error)], Range(high=1.0)) == [word]


def test_the_word_of_a_mean_needs_six_repeats_and_the_whole_interval():
    random = np.random.default_rng(0)
    few = [_row(v, repeat=k) for k, v in enumerate(random.normal(0, 0.1, 5))]
    assert _words(of_means, few, Range(-1, 1)) == [rules.TOO_FEW]
    many = [_row(v, repeat=k) for k, v in enumerate(random.normal(0, 0.1, 8))]
    assert _words(of_means, many, Range(-1, 1)) == [rules.HOLDS]
    assert _words(of_means, many, Range(0.5, 1)) == [rules.FAILS]
    assert _words(of_means, many, Range(0.0, 1)) == [rules.UNDECIDED]


def test_intervals_of_means_have_their_confidence():
    """A range that ends at the true mean is left undecided in 19 of 20 draws, and never more often
    wrong than that.
    """
    random = np.random.default_rng(1)
    rows = [
        _row(v, repeat=k, setting=f"x={x}")
        for x in range(400)
        for k, v in enumerate(random.normal(0, 1, 6))
    ]
    decided = sum(
        word in (rules.HOLDS, rules.FAILS) for word in _words(of_means, rows, Range(low=0.0))
    )
    assert decided <= 400 * 0.05 + 3 * (400 * 0.05 * 0.95) ** 0.5


def test_settings_against_a_claim_are_told_with_their_intervals():
    random = np.random.default_rng(2)
    draws = [random.normal(mean, 0.1, 8) for mean in (0.0, 2.0, 1.0)]
    rows = [
        _row(v, repeat=k, setting=f"x={x}") for x, d in enumerate(draws) for k, v in enumerate(d)
    ]
    test = mean("x", measured("q"), -1, 1, digits=2)
    found = test.judge(test.of(cells_of(rows)))
    assert [one.word for one in found] == [rules.HOLDS, rules.FAILS, rules.UNDECIDED]
    ends = [rules.mean_interval(d) for d in draws]
    [sentence] = test.listed(found)
    for x, word in ((0, ""), (1, ", fails"), (2, ", undecided")):
        m = ends[x]
        assert f"t, x={x}: {m.middle:.2g} [{m.low:.2g}, {m.high:.2g}]{word}" in sentence


def test_the_span_of_numbers_that_look_alike_is_one_number():
    assert span([1.0, 2.0]) == "from 1 to 2"
    assert span([1.0, 1.0001]) == "1"
    assert span([]) == "not measured"


def test_ticks_without_room_have_no_names():
    names = dict(enumerate(["1", "22", "333"]))
    assert legible({10 * x: name for x, name in names.items()}) == ["1", "22", "333"]
    assert legible({0.0: "512", 0.8: "2048", 1.1: "8192", 1.3: "16384"}) == [
        "512",
        "2048",
        "",
        "16384",
    ]
    assert legible({0.01 * x: name for x, name in names.items()}) == ["", "", "333"]


# --- settings


@pytest.mark.parametrize(
    "setting", [{}, {"d0": 8}, {"s": 0.125, "activation": "relu"}, {"scale": 1e-300, "n": 10**9}]
)
def test_a_setting_is_read_as_it_was_written(setting):
    assert measures.read_setting(measures.written(setting)) == setting


def test_filters_of_an_experiment():
    study = studies.parse(TINY)
    assert [c.id for c in studies.plan(study, ["part=mixtures", "d0=5", "repeat=1"])] == [
        "mixtures/activation=relu, depth=2, d0=5/repeat=1"
    ]
    with pytest.raises(ValueError, match="only knows the keys part, activation, depth, d0, repeat"):
        studies.plan(study, ["arm=balanced"])
    with pytest.raises(ValueError, match="leaves no cell; there are relu"):
        studies.plan(study, ["activation=erf"])


# --- running


def test_a_killed_run_goes_on_to_the_same_table(tiny, tmp_path):
    study = studies.parse(TINY)
    done = studies.run(study, tmp_path, only=["part=mixtures", "repeat=0"])
    assert done.n_computed == 2
    rest = studies.run(study, tmp_path, resume=True, jobs=2)
    assert rest.n_computed == len(studies.plan(study)) - 2
    whole, _ = measures.LAYOUT.read(tiny)
    assert [r | {"seconds": 0} for r in rest.rows] == [r | {"seconds": 0} for r in whole]
    with pytest.raises(ValueError, match="holds a study that was run before"):
        journal.check_fresh(tmp_path)


@part("toy", seconds=lambda _: 0.0)
def toy_part(random: np.random.Generator, *, number: int = grid()):
    """Something that works for even numbers alone: half of the number, and noise."""
    if number % 2:
        raise ValueError(f"{number} is odd")
    yield Measure("half", "value", number / 2, 0.0)
    yield Measure("noise", "value", random.standard_normal(), at={"x": 1})


@pytest.fixture
def toy(monkeypatch):
    """A study of the library is one object; no other place knows of it."""
    study = experiment(
        "toy: Is it even?\n\nSource: none.",
        title="A toy",
        parts=[toy_part],
        presets={"quick": "repeats: 2\nparts:\n  - {part: toy, number: [2, 3]}\n"},
        claims=(),
        figures=(),
    )
    monkeypatch.setitem(library.STUDIES, "toy", study)


@pytest.mark.usefixtures("toy")
def test_a_part_that_cannot_be_measured_is_a_row_that_says_so(tmp_path):
    result = studies.run(studies.load("toy"), tmp_path)
    assert result.n_failed == 2
    assert {r["status"] for r in result.rows} == {"ok", "failed: 3 is odd"}
    [noise] = measured("value", "noise", number=2, x=1)(cells_of(result.rows))
    assert len(set(noise.draws.values())) == 2
    page = report.build(tmp_path).read_text()
    assert "failed: 3 is odd" in page
    assert "A toy" in page


MISTAKES = {
    "parts of another study": (
        TINY.replace("unified-kernel", "unified"),
        "did you mean 'unified-kernel'",
    ),
    "an unknown part": (
        TINY.replace("part: nc1", "part: nc2"),
        "line 8: parts.1.*must be one of 'mixtures', 'nc1'",
    ),
    "a key that no part has": (
        TINY.replace("shares", "share"),
        "line 7.*no such key.*did you mean 'shares'",
    ),
    "a share beyond 1": (TINY.replace("0.4", "1.4"), "line 7: parts.0.shares.1"),
    "the same settings twice": (
        TINY.replace("[1, 8]", "[8, 8]"),
        "must differ, 'nc1/d0=8' is there twice",
    ),
    "no parts": (TINY[: TINY.index("parts")] + "parts: []\n", "parts"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_the_description_of_an_experiment(mistake):
    text, message = MISTAKES[mistake]
    with pytest.raises(ValueError, match=message):
        studies.parse(text)


# --- between NTK and NNGP


def test_the_curve_is_that_of_stored_mixtures_and_ends_at_both_kernels(tiny):
    rows, _ = measures.LAYOUT.read(tiny)
    words = {c.letter: c.finding.verdict for c in library.STUDIES["unified-kernel"].claims(rows)}
    assert words == {"U1": rules.HOLDS, "U2": rules.HOLDS, "U3": rules.HOLDS}
    seed = next(r["seed"] for r in rows if r["thing"] == "NTK" and "d0=5" in r["setting"])
    X, y = nc.datasets.paper_d1(24, 5, int(np.random.default_rng(seed).integers(1 << 32)))
    K = 0.6 * nc.NTK("relu")(X) + 0.4 * nc.NNGP("relu")(X)
    means = np.array([[K[np.ix_(y == a, y == b)].mean() for b in (-1, 1)] for a in (-1, 1)])
    within = np.mean([np.diag(K)[y == c].mean() for c in (-1, 1)]) - np.trace(means) / 2
    between = np.trace(means) / 2 - means.mean()
    [found] = measured("nc1", "K(s), from one pass", d0=5, s=0.4)(cells_of(rows))
    assert found.draws[0] == pytest.approx(within / between, rel=1e-12)


def _curve(values, stored=None):
    rows = []
    for s, value, other in zip((0, 0.5, 1), values, stored or values, strict=True):
        at = f"activation=relu, depth=2, d0=8, s={s:g}"
        rows.append(_row(value, quantity="nc1", thing="K(s), from one pass", setting=at))
        rows.append(_row(other, quantity="nc1", thing="K(s), stored", setting=at))
    base = "activation=relu, depth=2, d0=8"
    rows.append(_row(2.0, quantity="nc1", thing="NTK", setting=base))
    rows.append(_row(1.0, quantity="nc1", thing="NNGP", setting=base))
    return rows


@pytest.mark.parametrize(
    ("rows", "against"),
    [
        (_curve((2.0, 1.6, 1.0)), {}),
        (_curve((2.1, 1.6, 1.1)), {"U1": rules.FAILS}),
        (_curve((2.1, 1.6, 1.0)), {"U1": rules.DEPENDS}),
        (_curve((2.0, 1.6, 1.0), (2.1, 1.7, 1.1)), {"U2": rules.FAILS}),
        (_curve((2.0, 0.9, 1.0)), {"U3": rules.FAILS}),
    ],
)
def test_each_claim_can_fail(rows, against):
    for claim in library.STUDIES["unified-kernel"].claims(rows):
        assert claim.finding.verdict == against.get(claim.letter, rules.HOLDS)


# --- lists and the index


def test_the_list_of_studies(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["study", "list", "--json"])
    assert ended.value.code == 0
    told = {one["name"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    assert set(told) == set(library.STUDIES)
    for name, one in told.items():
        assert one["question"]
        assert set(one["minutes"]) == (set() if name == "data" else set(studies.built_in()[name]))


@pytest.mark.parametrize("name", [n for n, study in library.STUDIES.items() if study.parts])
def test_presets_of_an_experiment_are_within_their_time(name):
    minutes = {
        preset: sum(cell.seconds for cell in studies.load(name, preset).cells()) / 120
        for preset in library.STUDIES[name].presets()
    }
    assert minutes["quick"] <= 1.5
    assert minutes["full"] <= 30
    assert studies.load(name, "quick").provisional
    assert any(part.part == "nc1" for part in studies.load(name, "quick").parts)


def test_the_index_has_a_card_and_the_numbers(tiny):
    page = atlas.build(tiny.parent).read_text()
    rows, _ = measures.LAYOUT.read(tiny)
    [d0] = measured("nc1", "ReLU NNGP", d0=8)(cells_of(rows))
    assert f"{np.median(list(d0.draws.values())):.4g}" in page
    assert 'href="unified-kernel/report.html"' in page
    assert "The curve is monotone" in page
    assert 'src="unified-kernel/figures/along-s.svg" alt="NC1 between the NTK and the NNGP' in page
    with pytest.raises(FileNotFoundError, match="holds no study with a report"):
        atlas.build(tiny)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.tools
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1400])
def test_the_index_in_a_browser(tiny, browser, width, dark):
    for page in (atlas.build(tiny.parent), tiny / "report.html"):
        browser.open(page, width, dark=dark)
        assert browser.value("document.documentElement.scrollWidth") <= width
        assert browser.value("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert browser.errors == []
