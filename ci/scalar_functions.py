"""The functions of cpp/nc1fast/math.hpp against what they stand for: every float32 argument,
float64 around branches.

    python ci/scalar_functions.py [--quick] [--threads 2] [--arguments 1000000] [--headers cpp]

float32 results are judged by NumPy in float64, float64 results by mpmath at 40 digits. The headers
are compiled with the flags that CMakeLists.txt gives each instruction set. Prints where each error
is largest, then the table that cpp/README.md holds: status 1 where a number there is exceeded.
Needs the package, mpmath, and a C++ compiler.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scalar_cases import CASES, MPMATH, NUMPY, Case, mp, smallest_normal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[Any]

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "cpp" / "README.md"
NUMBER = "number"  # the lane type of what belongs to single rows, float64 alone
SLACK = 0.1  # ulp: another compiler contracts other products
SLACK_OF_ESTIMATES = (
    2.0  # for float32 on AVX2: `rsqrtps` differs between processors (cpp/README.md)
)
BLOCK = 1 << 13  # arguments at a time: what a second-level cache holds
QUICK_STEP, QUICK_FLOAT64 = 9973, 20_000
DTYPES = ("float32", "float64")
BITS = {"float32": np.uint32, "float64": np.uint64}


class Lanes:
    """The functions for one lane type, compiled.

    Parameters
    ----------
    name : str
        An instruction set, or `NUMBER`.
    headers, folder : Path
        cpp/, and where the library goes.
    """

    def __init__(self, name: str, headers: Path, folder: Path) -> None:
        self.name = name
        self.dtypes = ("float64",) if name == NUMBER else DTYPES
        library = folder / f"{name}.so"
        source = Path(__file__).with_suffix(".cpp")
        command = [_compiler(), "-std=c++20", "-shared", "-fPIC", *_flags(name), f"-I{headers}"]
        subprocess.run([*command, f"-DISA={name.capitalize()}", source, "-o", library], check=True)
        self._library = ctypes.CDLL(str(library))

    def __call__(self, function: str, x: Array, y: Array, n_outputs: int) -> Array:
        """Return the outputs (n_outputs, n) of a function at n arguments, a multiple of 64."""
        out = np.empty((n_outputs, x.size), x.dtype)
        evaluate = getattr(self._library, f"evaluate_{x.dtype}")
        evaluate.restype = ctypes.c_bool
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (x, y, out)]
        if not evaluate(function.encode(), ctypes.c_ssize_t(x.size), *pointers):
            raise ValueError(f"scalar_functions.cpp has no {function} of {x.dtype} for {self.name}")
        return out


def _compiler() -> str:
    found = (
        os.environ.get("CXX")
        or shutil.which("g++")
        or shutil.which("clang++")
        or shutil.which("c++")
    )
    if not found:
        raise RuntimeError("no C++ compiler: install g++ or clang++, or name one in CXX")
    return found


def _flags(name: str) -> list[str]:
    """Compiler flags of an instruction set, as CMakeLists.txt has them; one number is compiled as
    the engine is.
    """
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    engine, isa = r"set\(WITHOUT_CONTRACTION", r"target_compile_options\(isa_\$\{name\} PRIVATE"
    common = re.search(
        rf"{engine if name == NUMBER else isa} \$\{{NC1FAST_OPTIMIZATION\}} (.*)\)", text
    )
    own = re.search(rf"add_isa\({name}\b([^)]*)\)", text)
    if common is None or (own is None and name != NUMBER):
        raise RuntimeError(f"CMakeLists.txt no longer says how {name} is compiled")
    flags = [*common[1].split(), *(own[1].split() if own else ())]
    return ["-O3", *(flag for flag in flags if not flag.startswith("${"))]


def compile_all(headers: Path, folder: Path) -> list[Lanes]:
    """Every lane type that this machine runs, in the order of the table."""
    from nc1fast import _core

    names = [name for name in _core.isas() if name != "amx"]  # its lanes are those of AVX-512
    return [Lanes(name, headers, folder) for name in (*names, NUMBER)]


@dataclass
class Worst:
    """The largest error of one output so far."""

    ulp: float = 0.0  # or the absolute error, where only that matters
    at: float = 0.0
    relative: float = 0.0  # in units of 2^-24 or 2^-53, of normal results

    def join(self, other: Worst) -> None:
        """Take in what another share of the arguments gave."""
        if not other.ulp <= self.ulp:  # NaN is the worst of all
            self.ulp, self.at = other.ulp, other.at
        self.relative = max(self.relative, other.relative)


Results = dict[tuple[str, str, str, str], Worst]  # by output, domain, type and lanes


def ordinals(x: Array) -> Array:
    """Number the floats in order: 0 for 0, 1 for the smallest, -1 for its opposite."""
    magnitude = np.abs(x).view(BITS[str(x.dtype)]).astype(np.int64)
    return np.where(np.signbit(x), -magnitude, magnitude)


def floats(numbers: Array, dtype: str) -> Array:
    """The inverse of `ordinals`."""
    bits = BITS[dtype]
    sign = (numbers < 0).astype(bits) << bits(8 * np.dtype(dtype).itemsize - 1)
    return (np.abs(numbers).astype(bits) | sign).view(dtype)


def _ulp(truth: Array, dtype: str) -> Array:
    """Spacing of the floats of a type around float64 numbers."""
    power = (truth.view(np.uint64) & np.uint64(0x7FF0000000000000)).view(np.float64)
    return np.maximum(power, smallest_normal(dtype)) * float(np.finfo(dtype).eps)


def _unit(truth: Array, dtype: str) -> Array:
    """Units that the relative error is counted in: 2^-24 or 2^-53 of a result that is a normal
    number, else infinite.
    """
    size = np.abs(truth)
    return np.where(size >= smallest_normal(dtype), size * (float(np.finfo(dtype).eps) / 2), np.inf)


def truths_of(case: Case, x: Array) -> list[tuple[Array, Array | None]]:
    """Each output at x, as a float64 and what it lacks."""
    if x.dtype == np.float32:
        return [(truth, None) for truth in case.truth(x.astype(np.float64), NUMPY)]
    pairs = []
    for value in x.tolist():
        exact = case.truth(mp.mpf(value), MPMATH)
        pairs.append([(float(v), float(v - float(v))) for v in exact])
    return [(column[:, 0].copy(), column[:, 1]) for column in np.array(pairs).transpose(1, 0, 2)]


def judge(case: Case, x: Array, lanes: list[Lanes]) -> Results:
    """The largest errors at some arguments."""
    dtype = str(x.dtype)
    x = np.resize(x, -(-x.size // 64) * 64)  # whole vectors: the first arguments once more
    arguments = [np.ascontiguousarray(array) for array in case.pair(x)]
    values = {
        lane.name: lane(case.function, *arguments, len(case.outputs)).astype(np.float64)
        for lane in lanes
        if dtype in lane.dtypes
    }
    results: Results = {}
    for k, (truth, rest) in enumerate(truths_of(case, x)):
        ulp = 1.0 if case.absolute else _ulp(truth, dtype)
        unit = np.inf if case.absolute else _unit(truth, dtype)
        for name, outputs in values.items():
            error = outputs[k]
            error -= truth
            if rest is not None:
                error -= rest
            np.abs(error, out=error)
            relative = float((error / unit).max())
            error /= ulp
            at = int(np.argmax(error))
            worst = Worst(float(error[at]), float(x[at]), relative)
            results[case.outputs[k], case.domain, dtype, name] = worst
    return results


def every_float32(case: Case, step: int) -> Iterator[Array]:
    """Every step-th float32 argument of a case, in blocks; 0 last, where it belongs to the case."""
    low, high = (int(number) for number in ordinals(np.array(case.ends("float32"), np.float32)))
    for first in range(low, high + 1, BLOCK * step):
        yield floats(np.arange(first, min(first + BLOCK * step, high + 1), step), "float32")
    yield np.array([*case.ends("float32"), *([0] if case.zero else [])], np.float32)


def float64_arguments(case: Case, n: int) -> Array:
    """About n arguments: half of them around ends and branches, the rest uniform, by value and by
    ordinal.
    """
    ends = np.array(case.ends("float64"))
    low, high = ordinals(ends)
    centres = ordinals(np.r_[ends, tuple(case.branches("float64"))])
    near = max(8, n // (8 * centres.size))
    steps = np.r_[np.arange(near), np.geomspace(near, 2.0**40, near).astype(np.int64)]
    crowd = (centres[:, None] + np.r_[-steps, steps]).ravel()
    generator = np.random.default_rng(0)
    wide = generator.integers(low, high, n // 4, endpoint=True)
    chosen = floats(np.r_[crowd[(crowd >= low) & (crowd <= high)], wide], "float64")
    return np.r_[chosen, generator.uniform(*ends, n // 4), [0.0] if case.zero else []]


def measure(lanes: list[Lanes], *, step: int, n_float64: int, n_threads: int = 1) -> Results:
    """The largest errors of every case.

    Parameters
    ----------
    lanes : list of Lanes
    step : int
        Every step-th float32 argument.
    n_float64 : int
        float64 arguments of all cases together.
    """
    results: Results = {}
    with ThreadPoolExecutor(n_threads) as threads:
        for case in CASES:
            blocks = every_float32(case, step)
            while batch := list(itertools.islice(blocks, 512)):
                for share in threads.map(lambda x, case=case: judge(case, x, lanes), batch):
                    _join(results, share)
            _join(results, judge(case, float64_arguments(case, n_float64 // len(CASES)), lanes))
    return results


def _join(results: Results, share: Results) -> None:
    for key, worst in share.items():
        results.setdefault(key, Worst()).join(worst)


def columns(lanes: list[Lanes]) -> list[tuple[str, str]]:
    """Type and lanes of each column of the table."""
    return [(dtype, lane.name) for dtype in DTYPES for lane in lanes if dtype in lane.dtypes]


def table(results: Results, lanes: list[Lanes]) -> str:
    """What cpp/README.md holds: errors in ulp, rounded up to hundredths."""
    heads = columns(lanes)
    lines = ["| | | " + " | ".join(f"{dtype} {name}" for dtype, name in heads) + " |"]
    lines.append("| --- | --- |" + " ---: |" * len(heads))
    for case in CASES:
        for output in case.outputs:
            cells = [results[(output, case.domain, *head)].ulp for head in heads]
            texts = [
                f"{x:.1e}" if case.absolute else f"{math.ceil(100 * x) / 100:.2f}" for x in cells
            ]
            lines.append(f"| `{output}` | {case.domain} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def limits(text: str) -> dict[tuple[str, str, str, str], float]:
    """The numbers of a table, by the keys of `Results`."""
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    found = {}
    heads: list[str] = []
    for first, *rest in rows:
        if rest and rest[-1].endswith(f" {NUMBER}"):
            heads = rest[1:]
        elif heads and first.startswith("`"):
            for head, cell in zip(heads, rest[1:], strict=True):
                dtype, _, name = head.partition(" ")
                found[first.strip("`"), rest[0], dtype, name] = float(cell)
    return found


def exceeded(results: Results) -> list[str]:
    """One line for every error that is larger than the table of cpp/README.md says."""
    allowed = limits(TABLE.read_text(encoding="utf-8"))
    lines = []
    for key, worst in results.items():
        limit = allowed.get(key, math.nan)
        output, domain, dtype, name = key
        slack = SLACK_OF_ESTIMATES if (dtype, name) == ("float32", "avx2") else SLACK
        if not worst.ulp <= (limit + slack if limit > 1e-3 else (1 + slack) * limit):
            lines.append(
                f"{output}, {domain}, {dtype}, {name}: {worst.ulp:.4g} at {worst.at.hex()}, not "
                f"{limit}"
            )
    return lines


def main() -> int:
    """Measure, print, compare."""
    parser = argparse.ArgumentParser(
        prog="scalar_functions", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="some 10^5 arguments of each function")
    parser.add_argument("--threads", type=int, default=2, help="default 2")
    parser.add_argument("--arguments", type=int, default=1_000_000, help="float64 arguments in all")
    parser.add_argument(
        "--headers", type=Path, default=ROOT / "cpp", help="the folder of nc1fast/math.hpp"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scalar-functions-") as folder:
        lanes = compile_all(given.headers, Path(folder))
        quick = {"step": QUICK_STEP, "n_float64": QUICK_FLOAT64}
        how = quick if given.quick else {"step": 1, "n_float64": given.arguments}
        results = measure(lanes, **how, n_threads=given.threads)
    for (output, domain, dtype, name), worst in results.items():
        print(
            f"{output:16} {domain:32} {dtype} {name:8} {worst.ulp:10.4g} at {worst.at.hex():24}"
            f" relative {worst.relative:.4g} u"
        )
    print("", table(results, lanes), "", sep="\n")
    wrong = exceeded(results)
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
