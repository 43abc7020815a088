"""Machine code of the CUDA kernels as ``nvdisasm`` prints it: loops, and what they cost.

A loop is what a backward branch spans. The k loop is the smallest with a barrier and multiply-adds;
the loops of `cuda_probe.cu` are told apart by what they read from and write to shared memory.
nvdisasm comes with the toolkit, or ``pip install nvidia-cuda-nvdisasm``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

STEP = 8  # k of one turn of the k loop: kStep
DIGIT_STEP = 32  # of rows that are digits: kDigitStep
ENTRIES = 64  # of a thread in a unit: kWidth^2 / kThreads
# Multiply-adds of one lane in an instruction of its warp; of digits, eight products are one.
PER_LANE = {
    "FFMA": 1,
    "DFMA": 1,
    "DMMA.16x8x8": 32,
    "DMMA.8x8x4": 8,
    "DMMA.884": 8,
    "IMMA.16832": 16,
}


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

    def blocks(self) -> list[range]:
        """What runs from its first to its last instruction: between labels and branches."""
        cuts = {0, len(self.instructions), *self.labels.values()}
        cuts |= {at + 1 for at, (_, o, _) in enumerate(self.instructions) if o.startswith("BRA")}
        ends = sorted(cuts)
        return [range(a, b) for a, b in pairwise(ends)]

    def count(self, span: range | None = None) -> Counter[str]:
        """Instructions by name; LDS and STS with their width, NOP and what never runs (@!PT) left
        out of neither.
        """
        part = self.instructions if span is None else self.instructions[span.start : span.stop]
        return Counter(_name(opcode) for _, opcode, _ in part)


def _name(opcode: str) -> str:
    head, *rest = opcode.split(".")
    if head in ("LDS", "STS"):
        return ".".join([head, *(r for r in rest if r in ("64", "128"))])
    if head in ("DMMA", "IMMA"):
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


def multiply_adds(counts: Counter[str]) -> Counter[str]:
    """Multiply-adds of one lane, by the instruction that they are made of."""
    found: Counter[str] = Counter()
    for name, n in counts.items():
        if name in PER_LANE:
            found[name.split(".")[0]] += n * PER_LANE[name]
    return found


def k_loop(kernel: Kernel, step: int | None = None) -> tuple[str, Counter[str]]:
    """The loop over the depth of two panels: what its products are made of, and the instructions of
    one turn of `step`.

    Raises
    ------
    ValueError
        If no loop has a barrier and the multiply-adds of a step, once or in a loop of its own.
    """

    def products(loop: range) -> int:
        return max(multiply_adds(kernel.count(loop)).values(), default=0)

    candidates = [loop for loop in kernel.loops() if kernel.count(loop)["BAR"] and products(loop)]
    if not candidates:
        raise ValueError("no loop with a barrier and multiply-adds")
    in_turn = (STEP if step is None else step) * ENTRIES
    outer = min(candidates, key=len)
    total = kernel.count(outer)
    inner = max(kernel.innermost(), key=lambda loop: products(loop) if loop[0] in outer else 0)
    if inner != outer and products(inner) == products(outer):
        turns = in_turn // products(outer)
        total += Counter({x: n * (turns - 1) for x, n in kernel.count(inner).items()})
    kind, done = multiply_adds(total).most_common(1)[0]
    if done != in_turn:
        raise ValueError(f"a turn of the k loop has {done} multiply-adds")
    return kind, total


# What stands in a column of the table of the k loop.
GROUPS = {
    "multiply-adds": r"FFMA|DFMA|[DI]MMA.*",
    "shared loads": r"LDS\.(64|128)|LDSM",
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
    """Issue slots of a warp, and float64 instructions among them, for one entry of each of its
    lanes.
    """

    slots: float
    fp64: float

    def __add__(self, other: PerEntry) -> PerEntry:
        return PerEntry(self.slots + other.slots, self.fp64 + other.fp64)


def _per(counts: Counter[str], entries: int) -> PerEntry:
    return PerEntry(sum(counts.values()) / entries, fp64(counts) / entries)


def values_cost(kernel: Kernel) -> PerEntry:
    """The loop that holds one output: it stores four values, one for each row that it takes at a
    time.
    """
    for loop in kernel.loops():
        counts = kernel.count(loop)
        chords = sum(n for x, n in counts.items() if x.startswith("LDS"))
        stores = sum(n for x, n in counts.items() if x.startswith("STS"))
        if chords == 4 and stores in (4, 8, 12):
            return _per(counts, 4)
    raise ValueError("no loop over four rows")


def column_cost(kernel: Kernel) -> PerEntry:
    """The sum over a whole column: the loop that reads most, the shortest of these (rows without
    biases of their own).
    """

    def reads(counts: Counter[str]) -> int:
        return sum(n for x, n in counts.items() if x.startswith("LDS"))

    loops = [kernel.count(loop) for loop in kernel.innermost()]
    best = max(loops, key=lambda c: (reads(c), -c.total()))
    return _per(best, reads(best))


def pair_cost(kernel: Kernel) -> PerEntry:
    """The sum over a warp and the integers, once for a pair of classes: the loop around the
    shuffles.
    """
    loops = [kernel.count(loop) for loop in kernel.loops()]
    return _per(min((c for c in loops if c["SHFL"]), key=lambda c: sum(c.values())), ENTRIES)


def chord_cost(kernel: Kernel, step: int | None = None) -> PerEntry:
    """Everything outside of the k loop: its start, and the chords that go to shared memory.

    Digits: of rows in one chunk. What turns integers into numbers and stores these for another
    chunk is left out.
    """
    _, loop = k_loop(kernel, step)
    total = kernel.count() - loop - Counter(NOP=kernel.count()["NOP"])
    for block in kernel.blocks():
        counts = kernel.count(block)
        if counts["I2F"] + counts["I2FP"] and counts["STS"]:
            total -= counts
    return _per(total, ENTRIES)


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
            r"6device\d+(product|digits|epilogue|reduction|root)I([fd])(?:NS_\d(\w+?)E?LNS_4FormE(\d)E)?(?:Lb(\d))?",
            symbol,
        ):
            part = (of[3] or of[1]) + (of[4] or "") + (of[5] or "")
            found[part, "float32" if of[2] == "f" else "float64"] = kernel
    return found
