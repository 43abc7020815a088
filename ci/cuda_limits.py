"""Compile the kernels of cuda/ for every architecture, without a device, and hold what ptxas says
of them to cuda/limits.txt.

    python ci/cuda_limits.py [--architectures 80,90] [--jobs 2] [--keep build/cuda]

Registers, stack and spills come from ptxas; how many blocks a multiprocessor then holds follows
from the sizes of its memories. Status 1 where a limit is broken, a kernel has no limit, or a limit
no kernel. Needs nvcc and nothing else.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMITS = ROOT / "cuda" / "limits.txt"
FLAGS = ("-std=c++20", "-O3", "-diag-suppress=1675", f"-I{ROOT / 'cpp'}", f"-I{ROOT / 'cuda'}")
UNITS = ("far_entries", "entries_f32", "entries_digits", "entries_f64")
THREADS = 64  # of a block: kThreads
WARP = 32
# What the flags of a kernel say, in order.
WITHIN, DEEP = ("between", "within"), ("shallow", "deep")
SOURCE = ("of float", "of double")  # rows that are packed
FLAGS_OF = {
    "sums": (WITHIN, DEEP),
    "digit_sums": (WITHIN, DEEP),
    "gram": (DEEP,),
    "combine_sums": (WITHIN,),
    "pack": (SOURCE,),
}


@dataclass(frozen=True)
class Multiprocessor:
    """What one multiprocessor has, from the tables of compute capabilities in the CUDA programming
    guide.

    Parameters
    ----------
    shared, shared_per_block : int
        Bytes of shared memory, and the most that one block may have.
    reserved : int
        Bytes of it that the system takes from every block.
    granularity : int
        Shared memory is given in multiples of this.
    blocks, warps : int
        Most at a time.
    """

    shared: int
    shared_per_block: int
    reserved: int
    granularity: int
    blocks: int
    warps: int
    registers: int = 65536

    def blocks_of(self, registers: int, shared: int, threads: int = THREADS) -> int:
        """Blocks that fit at a time: 0 where one does not."""
        if shared > self.shared_per_block:
            return 0
        warps = -(-threads // WARP)
        # A warp's registers come in pieces of 256, warps of a multiprocessor by fours, one for each
        # of its schedulers.
        per_warp = _up(registers * WARP, 256)
        by_registers = self.registers // per_warp // 4 * 4 // warps
        by_shared = self.shared // max(1, _up(shared + self.reserved, self.granularity))
        return min(by_registers, by_shared, self.blocks, self.warps // warps)


def _up(n: int, to: int) -> int:
    return -(-n // to) * to


MULTIPROCESSORS = {
    75: Multiprocessor(64 << 10, 64 << 10, 0, 256, blocks=16, warps=32),
    80: Multiprocessor(164 << 10, 163 << 10, 1024, 128, blocks=32, warps=64),
    86: Multiprocessor(100 << 10, 99 << 10, 1024, 128, blocks=16, warps=48),
    89: Multiprocessor(100 << 10, 99 << 10, 1024, 128, blocks=24, warps=48),
    90: Multiprocessor(228 << 10, 227 << 10, 1024, 128, blocks=32, warps=64),
    100: Multiprocessor(228 << 10, 227 << 10, 1024, 128, blocks=32, warps=64),
    120: Multiprocessor(100 << 10, 99 << 10, 1024, 128, blocks=24, warps=48),
}


@dataclass(frozen=True)
class Usage:
    """What one kernel takes on one architecture. Bytes, of a thread: stack, spills."""

    kernel: str
    architecture: int
    registers: int
    stack: int
    spills: int

    @property
    def family(self) -> str:
        """The kernel without its flags: sums<float, within, deep> is one of sums<float>."""
        return re.sub(r",.*>", ">", self.kernel)


@dataclass(frozen=True)
class Limit:
    """One row of the table: a family of kernels on one architecture."""

    family: str
    architecture: int
    registers: int  # most, of a thread
    stack: int  # most bytes
    spills: int  # most bytes, stored and loaded
    shared: int  # bytes of a block, as it is launched in the common case
    blocks: int  # fewest that a multiprocessor must hold

    def broken_by(self, usage: Usage) -> list[str]:
        """What is wrong with a kernel, in words."""
        holds = MULTIPROCESSORS[self.architecture].blocks_of(usage.registers, self.shared)
        found = []
        if usage.registers > self.registers:
            found.append(f"{usage.registers} registers, at most {self.registers}")
        if usage.stack > self.stack:
            found.append(f"{usage.stack} bytes of stack, at most {self.stack}")
        if usage.spills > self.spills:
            found.append(f"{usage.spills} bytes of spills, at most {self.spills}")
        if holds < self.blocks:
            found.append(f"{holds} blocks per multiprocessor, at least {self.blocks}")
        return found


def read_limits(text: str) -> dict[tuple[str, int], Limit]:
    """The table by family and architecture; lines that begin with # are its remarks."""
    limits = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        family, *numbers = line.split()
        limit = Limit(family, *map(int, numbers))
        key = (family, limit.architecture)
        if key in limits:
            raise ValueError(f"two limits for {family} on sm_{limit.architecture}")
        limits[key] = limit
    return limits


def kernel_name(symbol: str) -> str:
    """sums<float, within, deep> from the name that the linker knows."""
    found = re.search(r"6device\d+([a-z_]+)I([fd])((?:Lb[01]E)*)E", symbol)
    if not found:
        return symbol
    name, dtype, flags = found[1], {"f": "float", "d": "double"}[found[2]], found[3]
    values = [flag == "1" for flag in re.findall(r"Lb([01])E", flags)]
    words = [pair[v] for pair, v in zip(FLAGS_OF.get(name, ()), values, strict=True)]
    return f"{name}<{', '.join([dtype, *words])}>"


def read_ptxas(log: str) -> list[Usage]:
    """What ``ptxas -v`` prints of kernels; functions that kernels call count in the stack of
    those.
    """
    usages = []
    kernel: tuple[str, int] | None = None
    frame = spills = 0
    for line in log.splitlines():
        if entry := re.search(r"Compiling entry function '(\w+)' for 'sm_(\d+)\w*'", line):
            kernel, frame, spills = (entry[1], int(entry[2])), 0, 0
        elif of := re.search(
            r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line
        ):
            frame, spills = max(frame, int(of[1])), spills + int(of[2]) + int(of[3])
        elif (used := re.search(r"Used (\d+) registers", line)) and kernel:
            total = re.search(r"(\d+) bytes cumulative stack", line)
            stack = max(frame, int(total[1]) if total else 0)
            usages.append(Usage(kernel_name(kernel[0]), kernel[1], int(used[1]), stack, spills))
            kernel = None
    return usages


def check(
    usages: list[Usage], limits: dict[tuple[str, int], Limit], architectures: list[int]
) -> tuple[list[str], list[str]]:
    """The table of what is used, line by line, and what is wrong."""
    rows, wrong = [], []
    seen = set()
    for usage in sorted(usages, key=lambda u: (u.architecture, u.kernel)):
        limit = limits.get((usage.family, usage.architecture))
        where = f"{usage.kernel} on sm_{usage.architecture}"
        if limit is None:
            wrong.append(f"{where}: no limit for {usage.family} in {LIMITS.name}")
            continue
        seen.add((usage.family, usage.architecture))
        broken = limit.broken_by(usage)
        wrong += [f"{where}: {what}" for what in broken]
        holds = MULTIPROCESSORS[usage.architecture].blocks_of(usage.registers, limit.shared)
        rows.append(
            f"sm_{usage.architecture}  {usage.kernel:32s} {usage.registers:9d} {usage.stack:6d} "
            f"{usage.spills:7d} "
            f"{limit.shared:7d} {holds:7d} {'  broken' if broken else ''}".rstrip()
        )
    for family, architecture in limits:
        if architecture in architectures and (family, architecture) not in seen:
            wrong.append(f"{family} on sm_{architecture}: a limit, but no kernel")
    header = (
        f"{'':5s}  {'kernel':32s} registers  stack  spills  shared  blocks (per multiprocessor)"
    )
    return [header, *rows], wrong


def compile_unit(nvcc: str, source: Path, architecture: int, folder: Path) -> str:
    """One object for one architecture: folder/<source>.<architecture>.cubin; what ptxas said of
    it.
    """
    target = folder / f"{source.stem}.{architecture}.cubin"
    command = [nvcc, *FLAGS, "-cubin", f"-arch=sm_{architecture}", "-Xptxas", "-v"]
    run = subprocess.run(
        [*command, str(source), "-o", str(target)], capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise RuntimeError(f"{source.name} for sm_{architecture}:\n{run.stdout}{run.stderr}")
    return run.stdout + run.stderr


def find_nvcc() -> str | None:
    """The compiler that CMake would take."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or "/usr/local/cuda"
    return os.environ.get("CUDACXX") or shutil.which("nvcc") or shutil.which(f"{home}/bin/nvcc")


def parser_of(prog: str, description: str) -> argparse.ArgumentParser:
    """A command line with --architectures, by default all of them."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument(
        "--architectures",
        type=lambda text: [int(a) for a in text.split(",")],
        default=list(MULTIPROCESSORS),
        help="some of 75,80,86,89,90,100,120",
    )
    return parser


def main() -> int:
    """0 where every kernel keeps its limits."""
    parser = parser_of("cuda_limits", "Hold the CUDA kernels to cuda/limits.txt.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="compilers at a time")
    parser.add_argument("--keep", type=Path, help="folder for the compiled kernels")
    arguments = parser.parse_args()
    architectures = arguments.architectures
    nvcc = find_nvcc()
    if nvcc is None:
        print("no nvcc: the CUDA kernels were not compiled", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="nc1fast-cuda-") as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        # double first: its kernels take longest
        work = [(ROOT / "cuda" / f"{u}.cu", a) for u in reversed(UNITS) for a in architectures]
        with ThreadPoolExecutor(arguments.jobs) as pool:
            try:
                logs = list(
                    pool.map(lambda item: compile_unit(nvcc, item[0], item[1], folder), work)
                )
            except RuntimeError as error:
                print(error, file=sys.stderr)
                return 1
    usages = [usage for log in logs for usage in read_ptxas(log)]
    table, wrong = check(usages, read_limits(LIMITS.read_text(encoding="utf-8")), architectures)
    print(*table, sep="\n")
    for what in wrong:
        print(f"BROKEN {what}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
