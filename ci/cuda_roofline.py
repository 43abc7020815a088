"""What a block's time goes to, counted in its machine code: the tables of cuda/README.md. Needs
nvcc and nvdisasm, no device.

    python ci/cuda_roofline.py [--architectures 80,90]

Every figure is a count or follows from one: nothing here is measured.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cuda_limits import ROOT, WARP, compile_unit, find_nvcc, parser_of
from cuda_sass import (
    DIGIT_STEP,
    ENTRIES,
    GROUPS,
    STEP,
    Kernel,
    chord_cost,
    column_cost,
    disassemble,
    find_nvdisasm,
    k_loop,
    pair_cost,
    probes,
    shares,
    values_cost,
)

UNIT = 64  # rows of a panel: kWidth
PAIRS = 0.5 * 1e6**2  # N = 1,000,000

# H100 SXM: multiprocessors, boost clock; per multiprocessor and cycle: instructions of warps, and
# multiply-adds of lanes.
H100 = {"multiprocessors": 132, "hz": 1.755e9}
SCHEDULERS = 4
RATES = {"FFMA": 128, "DFMA": 64, "DMMA": 128, "IMMA": 4096 / 8 * 5 / 8}  # IMMA: as cuda/digits.hpp
# How products are taken: part of the probe, type, k of a turn, bytes of a number in memory.
WAYS = {
    "float32": ("product", "float32", STEP, 4),
    "float32 by digits": ("digits", "float32", DIGIT_STEP, 3),
    "float64": ("product", "float64", STEP, 8),
}

# What was asked of a million rows, by d0: seconds, or a share of the peak.
TARGETS = {
    ("NNGP", "float32"): {128: "4 s", 784: "60 %"},
    ("NNGP", "float32 by digits"): {128: "4 s", 784: "60 %"},
    ("NNGP", "float64"): {128: "6 s"},
    ("NTK", "float32"): {},
    ("NTK", "float32 by digits"): {},
    ("NTK", "float64"): {},
}

EPILOGUES = {
    "relu, NNGP": "Relu00",
    "relu, NTK": "Relu41",
    "relu, NNGP and NTK": "Relu51",
    "relu, NTK beside other levels": "Relu01",
    "relu, within classes": "Relu20",
    "relu, NTK within classes": "Relu21",
    "erf, NNGP": "Erf00",
    "erf, within classes": "Erf30",
}


def table(header: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def loop_table(found: dict[int, dict[tuple[str, str], Kernel]]) -> str:
    """One row per type and architecture."""
    rows = []
    for way, (part, dtype, step, _) in WAYS.items():
        for architecture, kernels in sorted(found.items()):
            if not any(x.startswith("BAR") for x in kernels[part, dtype].count()):
                continue  # not compiled there
            kind, counts = k_loop(kernels[part, dtype], step)
            total = sum(counts.values())
            cells = [f"{n} ({n / total:.0%})" if n else "0" for n in shares(counts).values()]
            per = f"{total / (step * ENTRIES):.2f}"
            rows.append([way, f"sm_{architecture}", kind, str(total), *cells, per])
    header = ["type", "architecture", "by", "instructions", *GROUPS, "other", "slots per product"]
    return table(header, rows)


def entry_table(kernels: dict[tuple[str, str], Kernel]) -> str:
    """What one entry costs beside its products."""
    rows = []
    parts = {
        "chords": ("product", chord_cost),
        **{name: (key, values_cost) for name, key in EPILOGUES.items()},
        "sums of a root's errors": ("root0", column_cost),
        "the same within classes": ("root1", column_cost),
        "column sums": ("reduction", column_cost),
        "a pair of classes": ("reduction", pair_cost),
    }
    for name, (key, cost) in parts.items():
        costs = [cost(kernels[key, dtype]) for dtype in ("float32", "float64")]
        rows.append(
            [name, f"{costs[0].slots:.1f}", f"{costs[1].slots:.1f}", f"{costs[1].fp64:.1f}"]
        )
    return table(["part", "float32 slots", "float64 slots", "of them float64 instructions"], rows)


def roofline(kernels: dict[tuple[str, str], Kernel]) -> str:
    """Seconds of one pass on an H100, were every slot used: a bound from below, not a
    measurement.
    """
    rows = []
    per_second = H100["multiprocessors"] * H100["hz"] * SCHEDULERS  # instructions of warps
    for (kernel, way), target in TARGETS.items():
        part, dtype, step, size = WAYS[way]
        kind, counts = k_loop(kernels[part, dtype], step)
        epilogue = chord_cost(kernels[part, dtype], step)
        epilogue += values_cost(kernels["Relu41" if kernel == "NTK" else "Relu00", dtype])
        epilogue += column_cost(kernels["reduction", dtype])
        epilogue += pair_cost(kernels["reduction", dtype])
        if kernel == "NTK":
            epilogue += column_cost(kernels["root0", dtype])
            epilogue += pair_cost(kernels["root0", dtype])
        for depth in (128, 784):
            padded = -(-depth // step) * step
            slots = padded * sum(counts.values()) / (step * ENTRIES) + epilogue.slots
            # Cycles of a scheduler for 32 entries; a scheduler has a quarter of the
            # multiprocessor's units.
            pipe = padded * SCHEDULERS * WARP / RATES[kind]
            other = epilogue.fp64 * SCHEDULERS * WARP / RATES["DFMA"]
            cycles = {
                "issue": slots,
                kind: pipe,
                "float64 units": other,
                f"{kind} + float64 units": pipe + other,
            }
            if dtype == "float32":
                cycles = {"issue": slots, kind: pipe}
            seconds = {name: PAIRS / WARP * c / per_second for name, c in cycles.items()}
            worst = max(cycles.values())
            # Two panels come from the L2 cache for every unit.
            read = 2 * UNIT * padded * size / (worst * UNIT * UNIT / WARP / SCHEDULERS)
            rows.append(
                [
                    kernel,
                    way,
                    str(depth),
                    ", ".join(f"{name} {s:.2f} s" for name, s in seconds.items()),
                    f"{max(seconds.values()):.1f} s",
                    target.get(depth, ""),
                    f"{pipe / worst:.0%}",
                    f"{read:.0f}",
                ]
            )
    header = [
        "kernel of relu",
        "type",
        "d0",
        "each limit alone",
        "bound",
        "asked",
        "of FFMA / DMMA / IMMA peak",
    ]
    return table([*header, "L2 bytes per cycle and multiprocessor"], rows)


def main() -> int:
    """Print the tables."""
    parser = parser_of("cuda_roofline", "Count the instructions of the CUDA kernels.")
    architectures = parser.parse_args().architectures
    nvcc = find_nvcc()
    if nvcc is None or find_nvdisasm() is None:
        print("needs nvcc and nvdisasm (pip install nvidia-cuda-nvdisasm)", file=sys.stderr)
        return 2
    source = ROOT / "ci" / "cuda_probe.cu"
    with tempfile.TemporaryDirectory(prefix="nc1fast-cuda-") as temporary:
        folder = Path(temporary)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda a: compile_unit(nvcc, source, a, folder), architectures))
        found = {a: probes(disassemble(folder / f"{source.stem}.{a}.cubin")) for a in architectures}
    print(loop_table(found), "", sep="\n")
    card = 90 if 90 in found else max(found)
    print(f"sm_{card}, issue slots of a warp for one entry of each lane:", "", sep="\n")
    print(entry_table(found[card]), "", sep="\n")
    if card == 90:  # that of H100
        print(roofline(found[card]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
