"""Claim: what shares the inner products is cheap: row-class sums, a second kernel, all depths of a
network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench._problem import Problem, disagreement
from bench._session import Claim, Result
from bench._timing import interleave
from bench._worker import Worker

if TYPE_CHECKING:
    from bench._session import Session

ROW_SUMS_TARGET = 1.15
TWO_KERNELS_TARGET = 1.5
LAYERS_TARGETS = {"nngp-relu": 2.5, "ntk-relu": 3.5}  # depth 6 against depth 2, float64
AGREEMENT = {"float32": 1e-6, "float64": 1e-12}  # the same kernel alone and in company


def run(session: Session) -> Result:
    """Measure the three at d = 128, C = 10."""
    result = Result("sharing")
    for dtype in ("float32", "float64"):
        problem = Problem(session.size(16384), 128, dtype=dtype)
        variants: dict[str, dict[str, Any]] = {
            "nngp-relu": {"kernels": ["nngp-relu"]},
            "nngp-relu, row sums": {"kernels": ["nngp-relu"], "statistics": "all"},
            "ntk-relu": {"kernels": ["ntk-relu"]},
            "nngp-relu and ntk-relu": {"kernels": ["nngp-relu", "ntk-relu"]},
        }
        alone = {"nngp-relu, row sums": "nngp-relu", "nngp-relu and ntk-relu": "ntk-relu"}
        claims = [
            ("nngp-relu, row sums", "nngp-relu", ROW_SUMS_TARGET),
            ("nngp-relu and ntk-relu", "nngp-relu", TWO_KERNELS_TARGET),
        ]
        if dtype == "float64":
            for kernel, target in LAYERS_TARGETS.items():
                variants[f"{kernel}, depths 2 to 6"] = {"kernels": [f"{kernel}-6"], "layers": True}
                claims.append((f"{kernel}, depths 2 to 6", kernel, target))
        _measure(result, session, problem, variants, alone=alone, claims=claims)
    return result


def _measure(
    result: Result,
    session: Session,
    problem: Problem,
    variants: dict[str, dict[str, Any]],
    *,
    alone: dict[str, str],
    claims: list[tuple[str, str, float]],
) -> None:
    with Worker(session.n_threads, competitor=False) as worker:
        for name, options in variants.items():
            worker.prepare(name, "nc1fast", problem, **options)
            if options.get("layers"):
                alone[name] = f"{options['kernels'][0]} alone"
                worker.prepare(alone[name], "nc1fast", problem, kernels=options["kernels"])
        answers = {name: worker.run(name)[1] for name in {*variants, *alone.values()}}
        for name, single in alone.items():
            difference = disagreement(answers[name], answers[single])
            if not difference <= AGREEMENT[problem.dtype]:
                raise AssertionError(f"{name} and {single} differ by {difference:.2e}")
        samples = interleave(
            {name: worker.timer(name) for name in variants},
            session.rounds(6),
        )
    baseline = {name: base for name, base, _ in claims}
    for name, s in samples.items():
        ratio = s.ratio_to(samples[baseline.get(name, name)])
        result.rows.append(
            {
                "N": problem.n_samples,
                "d": problem.n_features,
                "dtype": problem.dtype,
                "what": name,
                "seconds": s.median,
                "over": baseline.get(name, "-"),
                "ratio": ratio.median,
                "range": f"{min(ratio.values):.3g}..{max(ratio.values):.3g}",
            }
        )
    for name, base, target in claims:
        ratio = samples[name].ratio_to(samples[base])
        result.claims.append(Claim(f"{name} / {base}, {problem.dtype}", ratio.median, "<=", target))
    result.details[problem.dtype] = {name: s.as_dict() for name, s in samples.items()}
