"""Claim: one GPU gives the exact NC1 of a million samples in seconds, near its multiply-add peak.

    make bench-gpu                     # or python -m bench.bench_gpu [--quick] [--out FOLDER]
        [--strict]

Whole ``nc.collapse(X, y, nc.NNGP("relu"), statistics="sums", device="cuda")`` calls from rows in
host memory, C = 10, median of 5 (three for the largest), against the peak that `fma_peak.cu`
measures on the card, and in interleaved rounds against CuPy and torch as a competent user writes it
(`tiled_device.py`) and, where JAX sees the card, neural-tangents. Answers are compared with those
of the processor in float64 first. Without a card it says so and ends with status 2.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench._device_peak import measured_peak
from bench._problem import Answer, DisagreementError, Problem, require_agreement
from bench._session import Claim, Result, Session
from bench._timing import RESULTS, environment, interleave, repeat
from bench.competitors import UnavailableError, nc1fast_kernel, prepare_neural_tangents
from bench.tiled_device import Library, cupy_library, import_or_unavailable, search, torch_library

if TYPE_CHECKING:
    from collections.abc import Callable

KERNEL = "nngp-relu"
DEVICE = "cuda"
CASES = ((65536, 128), (262144, 128), (1_000_000, 128), (131072, 784))
COMPARED = ((131072, 128), (65536, 784))
DENSE = 16384  # neural-tangents stores the matrix
CHECKED = 8192
DTYPES = ("float32", "float64")

SECONDS = {"float32": 4.0, "float64": 6.0}  # N = 1,000,000, d = 128, on an H100
FRACTION = 0.60  # of the FFMA peak at d = 784
RATIO = 3.0  # to a tiled CuPy or torch program


def run(session: Session) -> Result:
    """Measure all cases.

    Raises
    ------
    RuntimeError
        If there is no device, or nc1fast was built without CUDA.
    """
    result = Result("gpu")
    device = device_info()
    result.details["device"] = {name: getattr(device, name) for name in device.__dataclass_fields__}
    _check(result, session)
    peak = measured_peak()
    result.details["peak"] = peak
    for n_samples, n_features in CASES:
        _speed(result, session, peak, n_samples, n_features)
    for n_samples, n_features in COMPARED:
        for dtype in DTYPES:
            _compare(result, session, Problem(session.size(n_samples), n_features, dtype=dtype))
    result.remarks.append(
        f"{device.name}, compute capability {'.'.join(map(str, device.compute_capability))}, "
        f"{device.multiprocessors} multiprocessors; measured peaks in GFLOP/s: "
        + ", ".join(f"{name.upper()} {value:.0f}" for name, value in peak.items())
    )
    return result


def device_info() -> Any:
    """The description of the device by nc1fast.

    Raises
    ------
    RuntimeError
        If there is none, or nc1fast was built without CUDA.
    """
    return import_or_unavailable("nc1fast.cuda").device_info(DEVICE)


def collapse(
    problem: Problem, device: str | None = None, dtype: str | None = None
) -> Callable[[], Any]:
    """A function that makes the whole call, on rows as a user has them."""
    nc = import_or_unavailable("nc1fast")
    X, y = problem.data()
    kernel = nc1fast_kernel(KERNEL)
    settings = {
        "statistics": "sums",
        "dtype": dtype or problem.dtype,
        "convention": "papyan",
    }
    if (device or DEVICE) != "cpu":
        settings["device"] = device or DEVICE
    return lambda: nc.collapse(X, y, kernel, **settings)


def _check(result: Result, session: Session) -> None:
    """Compare NC1 of the device with that of the processor in float64, within the sum of their
    bounds.
    """
    for n_features in (7, 128, 784):
        problem = Problem(min(CHECKED, session.size(CHECKED)) - 5, n_features)
        exact = collapse(problem, "cpu")()
        for dtype in DTYPES:
            found = collapse(replace(problem, dtype=dtype), dtype=dtype)()
            difference = abs(found.nc1 - exact.nc1)
            # float32 rows are those of float64: the draw is float32
            bound = float(found.error_bound) + float(exact.error_bound)
            if not difference <= bound:
                raise DisagreementError(
                    f"device and processor differ by {difference:.2e}, bound {bound:.2e}: {dtype}, "
                    f"d = {n_features}"
                )
            result.details.setdefault("against the processor", []).append(
                {
                    "d": n_features,
                    "dtype": dtype,
                    "relative difference": float(difference / exact.nc1),
                    "bound": float(bound / exact.nc1),
                }
            )


def _speed(
    result: Result, session: Session, peak: dict[str, float], n_samples: int, n_features: int
) -> None:
    for dtype in DTYPES:
        problem = Problem(session.size(n_samples), n_features, dtype=dtype)
        call = collapse(problem)
        call()
        rounds = session.rounds(3 if n_samples > 5e5 else 5)
        samples = repeat(partial(_timed, call), rounds)
        gflops = problem.triangle_flops / samples.median * 1e-9
        best = peak["ffma"] if dtype == "float32" else max(peak["dfma"], peak["dmma"])
        result.rows.append(
            {
                "program": "nc1fast",
                "N": problem.n_samples,
                "d": n_features,
                "dtype": dtype,
                "seconds": samples.median,
                "min": min(samples.values),
                "max": max(samples.values),
                "GFLOP/s": gflops,
                "of peak": gflops / best,
                "ratio": None,
            }
        )
        case = f"N = {problem.n_samples}, d = {n_features}, {dtype}"
        if n_samples == 1_000_000:
            result.claims.append(Claim(f"seconds, {case}", samples.median, "<=", SECONDS[dtype]))
        if n_features == 784 and dtype == "float32":
            result.claims.append(
                Claim(f"fraction of the FFMA peak, {case}", gflops / best, ">=", FRACTION)
            )


def _compare(result: Result, session: Session, problem: Problem) -> None:
    X, y = problem.data()
    programs: dict[str, Callable[[], Answer]] = {"nc1fast": _answer(collapse(problem))}
    libraries: list[Callable[[], Library]] = [
        torch_library,
        partial(torch_library, compiled=True),
        cupy_library,
    ]
    for make in libraries:
        try:
            library = make()
            program = search(library, X, y, KERNEL, problem.dtype)
            programs[library.name] = partial(program, X, y)
            result.details.setdefault("tiles", []).append(
                {**problem.as_dict(), "program": library.name, "tile": program.tile}
            )
        except Exception as error:  # noqa: BLE001 - a competitor that cannot run is named, and why
            _absent(result, error)
    _race(result, session, problem, programs, claim=True)
    small = replace(problem, n_samples=min(problem.n_samples, DENSE))
    try:
        dense = {"nc1fast": _answer(collapse(small)), "neural-tangents": _neural_tangents(small)}
    except UnavailableError as error:
        _absent(result, error)
        return
    _race(result, session, small, dense, claim=False)


def _neural_tangents(problem: Problem) -> Callable[[], Answer]:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    jax = import_or_unavailable("jax")
    if jax.default_backend() != "gpu":
        raise UnavailableError("JAX sees no GPU")
    return prepare_neural_tangents(problem, 1, kernel=KERNEL).run


def _race(
    result: Result,
    session: Session,
    problem: Problem,
    programs: dict[str, Callable[[], Answer]],
    *,
    claim: bool,
) -> None:
    """Compare answers, then time rounds in turn; a ratio is a competitor's seconds over ours, round
    by round.
    """
    require_agreement({name: program() for name, program in programs.items()}, problem.dtype)
    timed = {name: partial(_timed, program) for name, program in programs.items()}
    samples = interleave(timed, session.rounds(6))
    for name, own in samples.items():
        ratio = own.ratio_to(samples["nc1fast"])
        result.rows.append(
            {
                "program": name,
                "N": problem.n_samples,
                "d": problem.n_features,
                "dtype": problem.dtype,
                "seconds": own.median,
                "min": min(own.values),
                "max": max(own.values),
                "GFLOP/s": problem.triangle_flops / own.median * 1e-9,
                "of peak": None,
                "ratio": ratio.median,
            }
        )
        if claim and name != "nc1fast":
            case = f"N = {problem.n_samples}, d = {problem.n_features}, {problem.dtype}"
            result.claims.append(Claim(f"{name} over nc1fast, {case}", ratio.median, ">=", RATIO))


def _absent(result: Result, error: Exception) -> None:
    remark = f"not compared: {error}".splitlines()[0]
    if remark not in result.remarks:
        result.remarks.append(remark)


def _answer(call: Callable[[], Any]) -> Callable[[], Answer]:
    def answer() -> Answer:
        found = call()
        return Answer(float(found.nc1), found.sums.block_sums, found.sums.traces)

    return answer


def _timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> int:
    """Print and write what was measured; 2 without a device, 1 if answers disagree or, with
    --strict, a claim does not hold.
    """
    parser = argparse.ArgumentParser(
        prog="bench.bench_gpu", description="nc1fast on the GPU at hand."
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: shows that everything runs"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--strict", action="store_true", help="status 1 if a claim does not hold")
    arguments = parser.parse_args()
    try:
        device_info()
    except RuntimeError as error:  # UnavailableError and DeviceError among them
        print(f"no GPU to measure: {error}", file=sys.stderr)
        return 2
    session = Session(os.cpu_count() or 1, quick=arguments.quick)
    stamp = environment(session.n_threads)
    print(*(f"{key}: {value}" for key, value in stamp.items()), "", sep="\n", flush=True)
    try:
        result = run(session)
    except AssertionError as error:
        print(f"answers disagree, nothing more was timed: {error}", file=sys.stderr)
        return 1
    print(result.text(), result.write(arguments.out, session), sep="\n")
    missed = [claim.text for claim in result.claims if not claim.holds]
    if missed and not session.quick:
        print("claims that do not hold here:", *missed, sep="\n  ")
    return 1 if missed and arguments.strict and not session.quick else 0


if __name__ == "__main__":
    sys.exit(main())
