"""The study of networks of products: a tiny run of it, and each claim on rows that make it hold,
fail and stay open.
"""

# ruff: noqa: RUF012  (the data of a study, which nothing changes)
from __future__ import annotations

import pytest
from tests.atlas_studies import StudyChecks

from nc1fast import studies
from nc1fast.studies.findings import rules
from nc1fast.studies.findings.measured import verdict
from nc1fast.studies.library import polynomial_nets as parts

pytest.importorskip("torch")
JITTER = (-1, 1, -0.5, 0.5, -0.2, 0.2, -0.8, 0.8)  # of one network after another


class TestStudy(StudyChecks):
    name = "polynomial-nets"
    tiny = """
  - {part: limits, degree: [1, 2], width: 200}
  - {part: circle, degree: [1, 2, 3], width: 200}
  - {part: degrees, d0: [1, 3], n_samples: 24, degrees: [1, 2, 3]}
  - {part: nc1, d0: [2], n_samples: 24}
"""
    tiny_words = {"holds": {"PN1", "PN3", "PN5", "PN6"}}
    things = {
        *(f"{kernel} of products, P = {P}" for kernel in ("NNGP", "NTK") for P in (1, 2, 3)),
        *(f"{kernel} with skips, P = 2" for kernel in ("NNGP", "NTK")),
        *(f"network of products, P = 2, {when}" for when in ("start", "end")),
    }
    figures = ["frequencies", "nc1"]
    good = {
        "one": 1e-14,
        "shift": 0.0,
        "spread": 0.01,
        "degrees": (1e-17, 1.0, 2.0),  # c_k/c_0 at P = 1, 2, 4 over the known one at P = 2
        "network": 1.01,
        "nc1": (0.1, 0.2, 0.3),
        "error": 1e-9,
    }
    changes = [
        ("PN1", {"one": 1e-11}, rules.FAILS),
        ("PN2", {"shift": 0.1}, rules.FAILS),
        ("PN2", {"spread": 0.5}, rules.UNDECIDED),
        ("PN3", {"degrees": (3.0, 1.0, 0.5)}, rules.FAILS),
        ("PN3", {"degrees": (1e-17, 1.0, 0.5)}, rules.DEPENDS),
        ("PN4", {"network": 1.2}, rules.FAILS),
        ("PN5", {"nc1": (0.3, 0.2, 0.1)}, rules.FAILS),
        ("PN5", {"nc1": (0.1, 0.3, 0.2)}, rules.DEPENDS),
        ("PN5", {"nc1": (0.3, 0.2, 0.1), "error": 0.2}, rules.HOLDS),  # equal within the bounds
        ("PN6", {"degrees": (1e-17, 1.01, 2.0)}, rules.HOLDS),
        ("PN6", {"degrees": (1e-17, 1.2, 2.0)}, rules.FAILS),
    ]
    exact = {"PN1", "PN3", "PN5", "PN6"}
    alone = True
    noise = 0.0
    enough = len(JITTER)

    def fill(self, add, told, repeat):
        jitter = JITTER[repeat]
        add("NTK", parts.FROM_RELU, told["one"], part="limits")
        deviation = told["shift"] + told["spread"] * jitter
        add("NTK", parts.DEVIATION, deviation, part="limits")
        for k, known in zip(parts.HIGHER, parts.KNOWN[2], strict=True):
            for P, factor in zip((1, 2, 4), told["degrees"], strict=True):
                add("NTK", parts.FREQUENCY, known * factor, part="circle", degree=P, k=k)
            at = {"part": "circle", "degree": 2, "k": k}
            add(parts.SAMPLED, parts.FREQUENCY, known, **at)
            of_network = known * told["network"] * (1 + 0.01 * jitter)
            add(parts.NETWORK, parts.FREQUENCY, of_network, **at)
        for P, value in enumerate(told["nc1"], start=1):
            add("NTK", "nc1", value, part="degrees", d0=1, degree=P, error=told["error"])


def test_presets_have_six_repeats_where_words_need_them():
    for preset, least in (("quick", 1), ("full", rules.FEWEST)):
        study = studies.parse(parts.STUDY.description(preset))
        for part in study.parts:
            assert min(part.repeats or study.repeats, study.repeats) >= least


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([rules.HOLDS, rules.UNDECIDED], rules.UNDECIDED),
        ([rules.HOLDS, rules.TOO_FEW], rules.TOO_FEW),
        ([rules.HOLDS, rules.UNDEFINED], rules.HOLDS),
        ([rules.HOLDS, rules.UNDECIDED, rules.FAILS], rules.DEPENDS),
        ([rules.FAILS, rules.UNDECIDED], rules.DEPENDS),
        ([], rules.UNDEFINED),
    ],
)
def test_open_cells_are_no_contradiction(words, expected):
    assert verdict(words) == expected
