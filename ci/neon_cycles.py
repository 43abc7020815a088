"""What a pair of rows costs on aarch64, estimated: the table of cpp/README.md. Needs
aarch64-linux-gnu-g++ and llvm-mca, no such machine.

    python ci/neon_cycles.py [--mca llvm-mca-19]

ReLU NNGP, class sums: products of `depth` multiply-adds, their chords, values, and column sums,
each from its loop in the assembly and the scheduling model of a processor, as if all that they read
were in L1. Nothing here is measured.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ("-std=c++20", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
PROCESSORS = {  # by llvm's name: vectors of multiply-adds a cycle
    "neoverse-n1": 2,
    "neoverse-n2": 2,
    "neoverse-v1": 4,
}
STRIP = 6  # rows: Neon::rows
DEPTHS = (32, 128, 784)


def assembly() -> list[str]:
    """Lines of the probe's assembly."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "probe.s")
        command = ["aarch64-linux-gnu-g++", *FLAGS, "-Wno-psabi", f"-I{ROOT / 'cpp'}", "-S"]
        subprocess.run([*command, ROOT / "ci" / "neon_probe.cpp", "-o", out], check=True)
        return out.read_text().splitlines()


def body(lines: list[str], name: str) -> list[str]:
    """Lines of the one function whose symbol has this in it."""
    (start,) = [i for i, line in enumerate(lines) if re.match(rf"\w*{name}[\w.]*:$", line)]
    end = next(i for i, line in enumerate(lines[start:], start) if ".size" in line)
    return lines[start:end]


def loops(function: list[str]) -> list[list[str]]:
    """Bodies of the loops that compute, without those around them."""
    labels = {line[:-1]: i for i, line in enumerate(function) if re.match(r"\.L\d+:$", line)}
    spans = []
    for i, line in enumerate(function):
        jump = re.match(r"\s+(?:b\.?|cbn?z|tbn?z)\w*\s.*?(\.L\d+)$", line)
        if jump and labels.get(jump[1], i) < i:
            spans.append((labels[jump[1]], i + 1))

    def computes(span: tuple[int, int]) -> bool:
        return any(re.match(r"\s+f(mla|mul|add|cvt)", line) for line in function[slice(*span)])

    inner = [
        one
        for one in spans
        if computes(one)
        and not any(
            one[0] <= a and b <= one[1] and computes((a, b)) for a, b in spans if (a, b) != one
        )
    ]
    return [function[slice(*span)] for span in inner]


def fused(loop: list[str]) -> int:
    """Multiply-adds of vectors in one turn."""
    return sum("\tfmla\t" in line for line in loop)


def cycles(loop: list[str], mca: str, processor: str) -> float:
    """Cycles of a turn of a loop, of many."""
    code = [
        ".Lloop:",
        *(re.sub(r"\.L\d+$", ".Lloop", line) for line in loop if not line.strip().startswith(".")),
    ]
    command = [mca, "-mtriple=aarch64", f"-mcpu={processor}", "-iterations=200"]
    told = subprocess.run(
        command, input="\n".join(code), text=True, capture_output=True, check=True
    )
    return int(re.search(r"Total Cycles:\s+(\d+)", told.stdout)[1]) / 200  # type: ignore[index]


def row(lines: list[str], dtype: str, processor: str, mca: str) -> list[str]:
    """One row of the table."""
    lanes = 4 if dtype == "float32" else 2
    panel, letter = 3 * lanes, {4: "f", 2: "d"}[lanes]

    def of(function: str) -> list[tuple[list[str], float]]:
        return [(loop, cycles(loop, mca, processor)) for loop in loops(body(lines, function))]

    chords = of(f"InnerI{letter}NS_4NeonEE6chords")
    product, turn = max(chords, key=lambda one: fused(one[0]))
    steps = fused(product) / (3 * STRIP)
    per_step = turn / steps / (STRIP * panel)
    ends = sum(c for loop, c in chords if loop is not product) / (STRIP * panel)
    (values,) = [c for _, c in of(f"epilogueI{letter}NS_4Neon")]
    sums = of(f"sums_f{128 // lanes}")
    by_row = [c for loop, c in sums if fused(loop) == 3 and len(loop) < 20]
    others = sum(c for _, c in sums) - sum(by_row)
    beside = ends + values / panel + (panel * sum(by_row) + others) / panel**2
    shares = [d / lanes / PROCESSORS[processor] / (d * per_step + beside) for d in DEPTHS]
    product_share = 1 / lanes / PROCESSORS[processor] / per_step
    return [
        processor,
        dtype,
        f"{product_share:.0%}",
        f"{beside:.1f}",
        *(f"{share:.0%}" for share in shares),
    ]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--mca", default="llvm-mca", help="llvm-mca, of LLVM 17 or later: its models of Neoverse"
    )
    mca = shutil.which(parser.parse_args().mca)
    if mca is None or shutil.which("aarch64-linux-gnu-g++") is None:
        sys.exit("llvm-mca and aarch64-linux-gnu-g++ are needed")
    lines = assembly()
    header = [
        "model",
        "type",
        "products alone",
        "cycles beside them",
        *(f"d0 = {d}" for d in DEPTHS),
    ]
    table = [header, ["---"] * len(header)]
    table += [row(lines, dtype, one, mca) for one in PROCESSORS for dtype in ("float32", "float64")]
    print("\n".join(f"| {' | '.join(line)} |" for line in table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
