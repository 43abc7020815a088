"""What a block's time goes to, counted in its machine code: the tables of cuda/README.md. Needs nvcc and nvdisasm, no device.

    python ci/cuda_sass.py [--architectures 80,90]

A loop is what a backward branch spans. The k loop is the one with a barrier and the most multiply-adds; the loops of
ci/cuda_probe.cu are told apart by what they read from and write to shared memory. Every figure is a count or follows from one:
nothing here is measured. nvdisasm comes with the toolkit, or ``pip install nvidia-cuda-nvdisasm``.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from cuda_limits import MULTIPROCESSORS, ROOT, WARP, compile_unit, find_nvcc

STEP = 8  # k of one turn of the k loop: kStep
ENTRIES = 64  # of a thread in a unit: kWidth^2 / kThreads
UNIT = 64  # rows of a panel: kWidth

# H100 SXM: multiprocessors, boost clock; per multiprocessor and cycle: instructions of warps, and multiply-adds of lanes.
H100 = {"multiprocessors": 132, "hz": 1.755e9}
SCHEDULERS = 4
RATES = {"FFMA": 128, "DFMA": 64, "DMMA": 128}
MULTIPLY_ADDS = {"FFMA": WARP, "DFMA": WARP, "DMMA": 16 * 8 * 8}  # of a warp's instruction
PAIRS = 0.5 * 1e6**2  # N = 1,000,000


@dataclass
class Kernel:
    """Instructions in order, as (predicate, opcode, operands), and where labels stand."""

    instructions: list[tuple[str, str, str]] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)

    def loops(self) -> list[range]:
        """What backward branches span; a branch to itself is the end of a program."""
        found = []
        for at, (_, opcode, operands) in enumerate(self.instructions):
            target = re.search(r"`\((\.L\w+)\)", operands) if opcode.startswith("BRA") else None
            if target and (start := self.labels.get(target[1], at + 1)) < at:
                found.append(range(start, at + 1))
        return found

    def innermost(self) -> list[range]:
        """Loops without a loop inside."""
        loops = self.loops()
        return [
            a
            for a in loops
            if not any(b != a and a.start <= b.start and b.stop <= a.stop for b in loops)
        ]

    def count(self, span: range | None = None) -> Counter[str]:
        """Instructions by name; LDS and STS with their width, NOP and what never runs (@!PT) left out of neither."""
        part = self.instructions if span is None else self.instructions[span.start : span.stop]
        return Counter(_name(opcode) for _, opcode, _ in part)


def _name(opcode: str) -> str:
    head, *rest = opcode.split(".")
    if head in ("LDS", "STS"):
        return ".".join([head, *(r for r in rest if r in ("64", "128"))])
    if head == "DMMA":
        return ".".join([head, *rest[:1]])
    return head


def read_sass(text: str) -> dict[str, Kernel]:
    """Kernels by the name that the linker knows, from what ``nvdisasm -c`` prints."""
    kernels: dict[str, Kernel] = {}
    kernel = Kernel()
    for line in text.splitlines():
        if section := re.match(r"\.text\.(\S+):", line):
            kernel = kernels.setdefault(section[1], Kernel())
        elif label := re.match(r"(\.L\w+):", line):
            kernel.labels[label[1]] = len(kernel.instructions)
        elif found := re.match(
            r"\s+/\*[0-9a-f]{4,}\*/\s+(?:(@!?U?P\w+)\s+)?([A-Z]\w*(?:\.\w+)*)\s*([^;]*);", line
        ):
            kernel.instructions.append((found[1] or "", found[2], found[3]))
    return kernels


def multiply_adds(counts: Counter[str]) -> tuple[str, int]:
    """The name of the instruction that a product is made of, and how many multiply-adds of a lane they are."""
    found = {
        kind: sum(n for name, n in counts.items() if name.split(".")[0] == kind)
        for kind in MULTIPLY_ADDS
    }
    kind = "DMMA" if found["DMMA"] else max(found, key=lambda k: found[k])
    return kind, STEP * ENTRIES


def k_loop(kernel: Kernel) -> Counter[str]:
    """The loop over the depth of two panels."""
    candidates = [kernel.count(loop) for loop in kernel.loops()]
    work = [c for c in candidates if c["BAR"] and sum(c.values()) < 2000]
    if not work:
        raise ValueError("no loop with a barrier")
    return max(work, key=lambda c: sum(n for x, n in c.items() if x.split(".")[0] in MULTIPLY_ADDS))


# What stands in a column of the table of the k loop.
GROUPS = {
    "multiply-adds": r"FFMA|DFMA|DMMA.*",
    "shared loads": r"LDS\.(64|128)",
    "copies": r"LDGSTS|LDGDEPBAR|DEPBAR|LDG|STS.*",
    "barrier": r"BAR",
    "NOP": r"NOP",
}


def shares(counts: Counter[str]) -> dict[str, int]:
    """Instructions by group; the last group, `other`, is addresses and the loop itself."""
    groups = dict.fromkeys([*GROUPS, "other"], 0)
    for name, n in counts.items():
        group = next((g for g, of in GROUPS.items() if re.fullmatch(of, name)), "other")
        groups[group] += n
    return groups


def fp64(counts: Counter[str]) -> int:
    """Instructions of the float64 units."""
    return sum(counts[name] for name in ("DFMA", "DMUL", "DADD", "DSETP"))


@dataclass(frozen=True)
class PerEntry:
    """Issue slots of a warp, and float64 instructions among them, for one entry of each of its lanes."""

    slots: float
    fp64: float

    def __add__(self, other: PerEntry) -> PerEntry:
        return PerEntry(self.slots + other.slots, self.fp64 + other.fp64)


def _per(counts: Counter[str], entries: int) -> PerEntry:
    return PerEntry(sum(counts.values()) / entries, fp64(counts) / entries)


def values_cost(kernel: Kernel) -> PerEntry:
    """The loop that holds one output: it stores four values, one for each row that it takes at a time."""
    for loop in kernel.loops():
        counts = kernel.count(loop)
        chords = sum(n for x, n in counts.items() if x.startswith("LDS"))
        stores = sum(n for x, n in counts.items() if x.startswith("STS"))
        if chords == 4 and stores in (4, 8, 12):
            return _per(counts, 4)
    raise ValueError("no loop over four rows")


def column_cost(kernel: Kernel) -> PerEntry:
    """The sum over a whole column: the loop that reads most."""
    loops = [kernel.count(loop) for loop in kernel.innermost()]
    best = max(loops, key=lambda c: sum(n for x, n in c.items() if x.startswith("LDS")))
    return _per(best, sum(n for x, n in best.items() if x.startswith("LDS")))


def pair_cost(kernel: Kernel) -> PerEntry:
    """The sum over a warp and the integers, once for a pair of classes: the loop around the shuffles."""
    loops = [kernel.count(loop) for loop in kernel.loops()]
    return _per(min((c for c in loops if c["SHFL"]), key=lambda c: sum(c.values())), ENTRIES)


def chord_cost(kernel: Kernel) -> PerEntry:
    """Everything outside of the k loop: its start, and the chords that go to shared memory."""
    loop = k_loop(kernel)
    return _per(kernel.count() - loop - Counter(NOP=kernel.count()["NOP"]), ENTRIES)


def disassemble(cubin: Path) -> dict[str, Kernel]:
    """Kernels of one object."""
    tool = find_nvdisasm()
    if tool is None:
        raise RuntimeError("no nvdisasm: pip install nvidia-cuda-nvdisasm")
    run = subprocess.run([tool, "-c", str(cubin)], capture_output=True, text=True, check=True)
    return read_sass(run.stdout)


def find_nvdisasm() -> str | None:
    """On the path, or in the wheel."""
    wheels = [path for folder in sys.path for path in Path(folder).glob("nvidia/cu*/bin/nvdisasm")]
    return shutil.which("nvdisasm") or (str(wheels[0]) if wheels else None)


def probes(kernels: dict[str, Kernel]) -> dict[tuple[str, str], Kernel]:
    """The kernels of cuda_probe.cu by part and type."""
    found = {}
    for symbol, kernel in kernels.items():
        if of := re.search(
            r"6device\d+(product|epilogue|reduction)I([fd])(?:NS_\d(\w+?)E?LNS_4FormE(\d)ELb(\d))?",
            symbol,
        ):
            part = of[1] if of[3] is None else f"{of[3]}{of[4]}{of[5]}"
            found[part, "float32" if of[2] == "f" else "float64"] = kernel
    return found


EPILOGUES = {
    "relu, NNGP": "Relu00",
    "relu, NTK": "Relu01",
    "relu, within classes": "Relu20",
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
    for (part, dtype), architecture in sorted(
        (key, a) for a, kernels in found.items() for key in kernels if key[0] == "product"
    ):
        counts = k_loop(found[architecture][part, dtype])
        kind, lanes = multiply_adds(counts)
        total = sum(counts.values())
        cells = [f"{n} ({n / total:.0%})" if n else "0" for n in shares(counts).values()]
        rows.append([dtype, f"sm_{architecture}", kind, str(total), *cells, f"{total / lanes:.2f}"])
    header = ["type", "architecture", "by", "instructions", *GROUPS, "other", "slots per product"]
    return table(header, rows)


def entry_table(kernels: dict[tuple[str, str], Kernel]) -> str:
    """What one entry costs beside its products."""
    rows = []
    parts = {
        "chords": ("product", chord_cost),
        **{name: (key, values_cost) for name, key in EPILOGUES.items()},
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
    """Seconds of one pass on an H100, were every slot used: a bound from below, not a measurement."""
    rows = []
    per_second = H100["multiprocessors"] * H100["hz"] * SCHEDULERS  # instructions of warps
    for dtype, target in (("float32", {128: "4 s"}), ("float64", {128: "6 s"})):
        counts = k_loop(kernels["product", dtype])
        kind, lanes = multiply_adds(counts)
        epilogue = chord_cost(kernels["product", dtype])
        epilogue += values_cost(kernels["Relu00", dtype])
        epilogue += column_cost(kernels["reduction", dtype])
        epilogue += pair_cost(kernels["reduction", dtype])
        for depth in (128, 784):
            slots = depth * sum(counts.values()) / lanes + epilogue.slots
            # Cycles of a scheduler for 32 entries; a scheduler has a quarter of the multiprocessor's units.
            pipe = depth * SCHEDULERS * WARP / RATES[kind]
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
            size = 4 if dtype == "float32" else 8
            read = 2 * UNIT * depth * size / (worst * UNIT * UNIT / WARP / SCHEDULERS)
            rows.append(
                [
                    dtype,
                    str(depth),
                    ", ".join(f"{name} {s:.2f} s" for name, s in seconds.items()),
                    f"{max(seconds.values()):.1f} s",
                    target.get(depth, "60 %" if dtype == "float32" else ""),
                    f"{pipe / worst:.0%}",
                    f"{read:.0f}",
                ]
            )
    header = ["type", "d0", "each limit alone", "bound", "asked", "of FFMA / DMMA peak"]
    return table([*header, "L2 bytes per cycle and multiprocessor"], rows)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="cuda_sass", description="Count the instructions of the CUDA kernels."
    )
    parser.add_argument(
        "--architectures",
        default=",".join(map(str, MULTIPROCESSORS)),
        help="some of 75,80,86,89,90",
    )
    arguments = parser.parse_args()
    architectures = [int(a) for a in arguments.architectures.split(",")]
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
    newest = max(found)
    print(f"sm_{newest}, issue slots of a warp for one entry of each lane:", "", sep="\n")
    print(entry_table(found[newest]), "", sep="\n")
    if newest >= 90:
        print(roofline(found[newest]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
