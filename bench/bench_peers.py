"""Claim: many times faster than what people run today, on the same problem and with the same
answer.

Interleaved rounds; a ratio is the median over rounds of (their seconds / ours).
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from bench._problem import Problem, require_agreement
from bench._session import Claim, Result
from bench._timing import interleave
from bench._worker import Worker
from bench.competitors import UnavailableError

if TYPE_CHECKING:
    from bench._problem import Answer
    from bench._session import Session

EXPERT_TARGETS = {2: 8.0, 128: 2.5, 784: 1.4}
RELEASED_TARGET = 300.0
NEURAL_TANGENTS_TARGET = 25.0  # float64


def run(session: Session) -> Result:
    """Measure against all that can be run here."""
    result = Result("peers")
    for n_features, target in EXPERT_TARGETS.items():
        for dtype in ("float32", "float64"):
            problem = Problem(session.size(16384), n_features, dtype=dtype)
            fixed: dict[str, Any] = {"tile": 256} if session.quick else {}
            peers = {
                "torch-tiled": {"compiled": False, **fixed},
                "torch-tiled-compiled": {"compiled": True, **fixed},
            }
            ratios = _compare(result, session, problem, "nngp-relu", peers, rounds=6)
            text = (
                f"torch-tiled / nc1fast, nngp-relu, N = {problem.n_samples}, d = {n_features}, "
                f"{dtype}"
            )
            if "torch-tiled" in ratios:
                result.claims.append(Claim(text, ratios["torch-tiled"], ">=", target))
    for dtype in ("float32", "float64"):
        problem = Problem(session.size(8192), 128, dtype=dtype)
        _compare(result, session, problem, "nngp-relu", {"numpy-dense": {}}, rounds=4)
        problem = Problem(session.size(16384), 128, dtype=dtype)
        ratios = _compare(result, session, problem, "ntk-relu", {"neural-tangents": {}}, rounds=2)
        if dtype == "float64" and ratios:
            text = f"neural-tangents / nc1fast, ntk-relu, N = {problem.n_samples}, d = 128, float64"
            result.claims.append(
                Claim(text, ratios["neural-tangents"], ">=", NEURAL_TANGENTS_TARGET)
            )
    _released(result, session)
    return result


def _compare(
    result: Result,
    session: Session,
    problem: Problem,
    kernel: str,
    peers: dict[str, dict[str, Any]],
    *,
    rounds: int,
) -> dict[str, float]:
    """Time nc1fast and its peers side by side; returns the ratio of each."""
    with ExitStack() as stack:
        ours = stack.enter_context(Worker(session.n_threads, competitor=False))
        ours.prepare("nc1fast", "nc1fast", problem, kernels=[kernel])
        workers, details = {"nc1fast": ours}, {}
        for name, options in peers.items():
            worker = stack.enter_context(Worker(session.n_threads))
            try:
                details[name] = worker.prepare(
                    name, name.removesuffix("-compiled"), problem, kernel=kernel, **options
                )
            except UnavailableError as reason:
                remark = f"{name} skipped: {reason}"
                result.remarks += [remark] if remark not in result.remarks else []
                continue
            workers[name] = worker
        if len(workers) == 1:
            return {}
        answers: dict[str, Answer] = {name: worker.run(name)[1] for name, worker in workers.items()}
        require_agreement(answers, problem.dtype)
        samples = interleave(
            {name: worker.timer(name) for name, worker in workers.items()},
            session.rounds(rounds),
        )
        key = f"{kernel} N={problem.n_samples} d={problem.n_features} {problem.dtype}"
        result.details[key] = {
            "notes": details,
            "environment": {name: worker.environment() for name, worker in workers.items()},
            "seconds": {name: s.as_dict() for name, s in samples.items()},
        }
        ratios = {}
        for name, s in samples.items():
            ratio = s.ratio_to(samples["nc1fast"])
            result.rows.append(
                {
                    "kernel": kernel,
                    "N": problem.n_samples,
                    "d": problem.n_features,
                    "dtype": problem.dtype,
                    "program": name,
                    "seconds": s.median,
                    "ratio": ratio.median,
                    "range": f"{min(ratio.values):.3g}..{max(ratio.values):.3g}",
                    "plan": _plan(details.get(name, {})),
                }
            )
            if name != "nc1fast":
                ratios[name] = ratio.median
                _remark_libraries(result, name, workers[name].environment())
    return ratios


def _released(result: Result, session: Session) -> None:
    """Run the released algorithm once: it needs most of a minute at full size."""
    problem = Problem(session.size(8192), 128, dtype="float32")
    with Worker(session.n_threads, competitor=False) as ours, Worker(session.n_threads) as theirs:
        ours.prepare("a", "nc1fast", problem, kernels=["ntk-relu"])
        try:
            theirs.prepare("a", "released", problem, kernel="ntk-relu")
        except UnavailableError as reason:
            result.remarks.append(f"released skipped: {reason}")
            return
        ours.run("a")
        before = [ours.run("a") for _ in range(3)]
        seconds, answer = theirs.run("a")
        after = [ours.run("a") for _ in range(3)]
        require_agreement({"nc1fast": before[0][1], "released": answer}, "float32")
        own = sorted(t for t, _ in before + after)
        median = 0.5 * (own[2] + own[3])
        row = {"kernel": "ntk-relu", "N": problem.n_samples, "d": 128, "dtype": "float32"}
        span = f"{seconds / own[-1]:.3g}..{seconds / own[0]:.3g}"
        result.rows.append(
            row | {"program": "nc1fast", "seconds": median, "ratio": 1.0, "range": "-", "plan": ""}
        )
        result.rows.append(
            row
            | {
                "program": "released",
                "seconds": seconds,
                "ratio": seconds / median,
                "range": span,
                "plan": "one run",
            }
        )
        text = f"released / nc1fast, ntk-relu, N = {problem.n_samples}, d = 128, float32"
        result.claims.append(Claim(text, seconds / median, ">=", RELEASED_TARGET))


def _plan(notes: dict[str, Any]) -> str:
    plan = notes.get("plan")
    if not plan:
        return ""
    return (
        f"tile {plan['tile']}, {plan['workers']} "
        f"worker(s){', outer products' if plan['outer'] else ''}"
    )


def _remark_libraries(result: Result, name: str, environment: dict[str, Any]) -> None:
    """Say once which BLAS a competitor used."""
    parts = []
    if "torch" in environment:
        parts.append(
            f"torch {environment['torch']}, {environment['torch_blas']}, {environment['torch_cpu']}"
        )
    if name == "numpy-dense":
        pools = environment["blas"]
        parts += (
            [
                f"{p['internal_api']} {p.get('version')} kernel {p.get('architecture')}"
                for p in pools
            ]
            if isinstance(pools, list)
            else [pools]
        )
    remark = f"{name} uses {'; '.join(parts)}"
    if parts and remark not in result.remarks:
        result.remarks.append(remark)
