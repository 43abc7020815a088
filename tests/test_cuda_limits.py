"""What the checks of the CUDA kernels make of a compiler's and a disassembler's words: captured
ones, no toolkit needed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "ci" / "cuda_limits.py").is_file():
    pytest.skip("the checks are not part of this source distribution", allow_module_level=True)
sys.path.insert(0, str(ROOT / "ci"))

import cuda_limits
import cuda_sass

# nvcc 13.0, two kernels; the function between them is called by the second.
PTXAS = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function \
'_ZN7nc1fast6device4gramIfLb0EEEvNS0_8GramWorkIT_EE' for 'sm_90'
ptxas info    : Function properties for _ZN7nc1fast6device4gramIfLb0EEEvNS0_8GramWorkIT_EE
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 127 registers, used 1 barriers
ptxas info    : Compile time = 14254.693 ms
ptxas info    : Compiling entry function \
'_ZN7nc1fast6device4sumsIdLb1ELb0EEEvNS0_8SumsWorkIT_EE' for 'sm_90'
ptxas info    : Function properties for _ZN7nc1fast6device4sumsIdLb1ELb0EEEvNS0_8SumsWorkIT_EE
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 198 registers, used 1 barriers
ptxas info    : Compile time = 52385.410 ms
"""

TYPES = ("float", "double")

LIMITS = """\
# kernel       sm  registers  stack  spills  shared  blocks
gram<float>    90        128      0       0   32768       6
sums<double>   90        208      0       0   32768       4
"""


def wrong(log=PTXAS, limits=LIMITS):
    usages = cuda_limits.read_ptxas(log)
    return cuda_limits.check(usages, cuda_limits.read_limits(limits), [90])[1]


def test_kernels_within_their_limits_pass():
    assert wrong() == []
    gram, sums = cuda_limits.read_ptxas(PTXAS)
    found = (gram.kernel, gram.registers, gram.stack, gram.spills)
    assert found == ("gram<float, shallow>", 127, 0, 0)
    assert (sums.kernel, sums.family) == ("sums<double, within, shallow>", "sums<double>")


@pytest.mark.parametrize(
    ("name", "flags", "expected"),
    [
        ("12combine_sums", "IfLb1E", "combine_sums<float, within>"),
        ("12combine_sums", "IdLb0E", "combine_sums<double, between>"),
        ("12combine_gram", "Id", "combine_gram<double>"),
        ("10half_norms", "If", "half_norms<float>"),
        ("4pack", "IdLb0E", "pack<double, of float>"),
        ("10digit_sums", "IfLb1ELb0E", "digit_sums<float, within, shallow>"),
        ("11digit_norms", "If", "digit_norms<float>"),
        ("6slices", "If", "slices<float>"),
    ],
)
def test_flags_are_those_of_the_kernel(name, flags, expected):
    symbol = f"_ZN7nc1fast6device{name}{flags}EEvNS0_8SumsWorkIT_EE"
    assert cuda_limits.kernel_name(symbol) == expected


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("0   32768       6", "0   32768       7", "6 blocks per multiprocessor, at least 7"),
        ("0   32768       4", "0  232449       1", "0 blocks per multiprocessor"),
        ("gram<float> ", "gram<half>  ", "a limit, but no kernel"),
        ("Used 198 registers", "Used 209 registers", "209 registers, at most 208"),
        ("0 bytes stack frame", "80 bytes stack frame", "80 bytes of stack"),
        ("Used 127 registers", "Used 127 registers, 80 bytes cumulative stack size", "80 bytes"),
        ("0 bytes spill loads", "12 bytes spill loads", "12 bytes of spills, at most 0"),
        ("0 bytes spill stores", "8 bytes spill stores", "8 bytes of spills"),
        ("gramIfLb0", "gramIdLb0", "no limit for gram<double>"),
    ],
)
def test_a_planted_violation_is_found(old, new, what):
    found = wrong(PTXAS.replace(old, new), LIMITS.replace(old, new))
    assert any(what in line for line in found)


def test_two_limits_for_one_kernel_are_an_error():
    with pytest.raises(ValueError, match="two limits"):
        cuda_limits.read_limits(LIMITS + LIMITS)


@pytest.mark.parametrize(
    ("architecture", "registers", "shared", "blocks"),
    [
        (90, 128, 16384, 8),  # by registers: 16 warps of 4096
        (90, 130, 16384, 6),  # 136 registers a warp's thread: 15 warps, of which 12 in fours
        (90, 32, 32768, 6),  # by shared memory: 33 KiB of 228
        (80, 168, 32768, 4),  # 33 KiB of 164
        (86, 32, 16384, 5),  # 17 KiB of 100
        (75, 32, 65536, 1),  # all of it
        (75, 32, 1024, 16),  # by blocks
        (86, 32, 1024, 16),
        (89, 32, 1024, 24),  # by warps: 48
        (90, 32, 1024, 32),
        (80, 32, 164 << 10, 0),  # more than a block may have
        (100, 128, 32768, 6),  # 33 KiB of 228
        (120, 128, 16384, 5),  # 17 KiB of 100
        (120, 32, 1024, 24),  # by blocks, and by warps
    ],
)
def test_occupancy(architecture, registers, shared, blocks):
    """Against NVIDIA's occupancy calculator for 64 threads, by hand."""
    assert cuda_limits.MULTIPROCESSORS[architecture].blocks_of(registers, shared) == blocks


def test_the_table_has_a_limit_for_every_kernel_and_architecture_of_the_build():
    build = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    listed = re.findall(r"set\(CMAKE_CUDA_ARCHITECTURES (\d[^)]*)\)", build)
    architectures = {int(a) for a in re.findall(r"\d+", listed[-1])}
    assert architectures == set(cuda_limits.MULTIPROCESSORS)
    # Machine code for every one, and PTX of the newest for those to come: only it has no "-real".
    assert listed[-1].replace("-real", "").split() == [str(a) for a in sorted(architectures)]
    assert [a for a in listed[-1].split() if not a.endswith("-real")] == [str(max(architectures))]
    limits = cuda_limits.read_limits(cuda_limits.LIMITS.read_text(encoding="utf-8"))
    kernels = ("sums", "gram", "half_norms", "combine_sums", "combine_gram")
    by_digits = ("digit_sums", "digit_norms", "slices")
    in_place = ("inspect", "measure", "add_up", "pack")
    families = {f"{kernel}<{t}>" for kernel in (*kernels, *in_place) for t in TYPES}
    families |= {f"{kernel}<float>" for kernel in by_digits}
    assert set(limits) == {(family, a) for family in families for a in architectures}
    sources = {"entries.hpp": kernels, "entries_digits.cu": by_digits, "far_entries.hpp": in_place}
    for name, of in sources.items():
        source = (ROOT / "cuda" / name).read_text(encoding="utf-8")
        assert len(re.findall("__global__", source)) == len(of)  # and these are all
    threads = re.search(r"kThreads = (\d+)", (ROOT / "cuda" / "device.hpp").read_text("utf-8"))
    assert threads is not None
    assert int(threads[1]) == cuda_limits.THREADS


@pytest.mark.skipif(cuda_limits.find_nvcc() is None, reason="needs nvcc")
def test_rows_in_place_are_measured_without_contraction(tmp_path):
    """Every product and sum of float64 is rounded by itself, as the processor does: their bits are
    the same.
    """
    source, target = ROOT / "cuda" / "far_entries.cu", tmp_path / "far_entries.ptx"
    command = [cuda_limits.find_nvcc(), *cuda_limits.FLAGS, "-ptx", "-arch=sm_90", str(source)]
    subprocess.run([*command, "-o", str(target)], check=True, capture_output=True)
    text = target.read_text(encoding="utf-8")
    assert len(re.findall(r"\b(?:add|mul|sub)\.rn\.f64\b", text)) > 100
    assert re.findall(r"\b(?:fma|mad)\.\w*\.?f(?:32|64)", text) == []


# A k loop of two multiply-adds around a loop that waits, as nvdisasm writes it.
SASS = """\
.text._ZN7nc1fast6device7productIfEEvPKT_S4_iS4_S4_:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
.L_x_0:
        /*0010*/                   BAR.SYNC.DEFER_BLOCKING 0x0 ;
.L_x_1:
        /*0020*/              @!P0 BRA `(.L_x_1) ;
        /*0030*/                   NOP ;
.L_x_2:
        /*0040*/                   IADD3 R2, R2, 0x1, RZ ;
        /*0050*/               @P1 BRA `(.L_x_2) ;
        /*0060*/                   LDS.128 R4, [R2] ;
        /*0070*/                   FFMA R8, R4, R5, R8 ;
        /*0080*/                   FFMA R9, R6.reuse, R7, R9 ;
        /*0090*/              @!P2 BRA `(.L_x_0) ;
        /*00a0*/                   EXIT ;
.L_x_3:
        /*00b0*/                   BRA `(.L_x_3);
"""


@pytest.fixture(autouse=True)
def _two_products(monkeypatch):
    """A step of the loops in this file is of two products, not 8 x 64."""
    monkeypatch.setattr(cuda_sass, "STEP", 1)
    monkeypatch.setattr(cuda_sass, "ENTRIES", 2)


def test_the_k_loop_is_found_and_counted():
    (kernel,) = cuda_sass.read_sass(SASS).values()
    kind, counts = cuda_sass.k_loop(kernel)
    assert kind == "FFMA"
    assert counts == {"BAR": 1, "BRA": 3, "NOP": 1, "IADD3": 1, "LDS.128": 1, "FFMA": 2}
    assert kernel.innermost() == [range(4, 6)]
    shares = cuda_sass.shares(counts)
    assert list(shares.values()) == [2, 1, 0, 1, 1, 4]
    assert next(iter(shares)) == "multiply-adds"


def test_a_loop_within_the_k_loop_counts_as_often_as_it_runs():
    """One multiply-add in a loop of two turns: that loop's instructions count twice."""
    inner = SASS.replace("FFMA R9, R6.reuse, R7, R9", "@!P3 BRA `(.L_x_4)").replace(
        "                   LDS.128", ".L_x_4:\n        /*0060*/                   LDS.128"
    )
    inner = inner.replace("        /*0060*/.L_x_4", ".L_x_4")
    (kernel,) = cuda_sass.read_sass(inner).values()
    _, counts = cuda_sass.k_loop(kernel)
    assert counts == {"BAR": 1, "BRA": 5, "NOP": 1, "IADD3": 1, "LDS.128": 2, "FFMA": 2}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("FFMA R9", "FMUL R9", "has 1 multiply-adds"),  # other work
        ("@!P2 BRA `(.L_x_0)", "@!P2 BRA `(.L_x_3)", "no loop with a barrier"),  # a branch forward
    ],
)
def test_a_loop_of_another_form_is_an_error(old, new, message):
    (kernel,) = cuda_sass.read_sass(SASS.replace(old, new)).values()
    with pytest.raises(ValueError, match=message):
        cuda_sass.k_loop(kernel)


def test_bytes_are_eight_products_of_digits():
    """One instruction of 16 x 8 x 32 bytes is 128 products of a lane, 16 of rows."""
    bytes_ = SASS.replace("FFMA R8, R4, R5, R8", "IMMA.16832.S8.S8 R8, R4.ROW, R5.COL, R8")
    (kernel,) = cuda_sass.read_sass(bytes_.replace("FFMA R9, R6.reuse, R7, R9", "NOP")).values()
    kind, counts = cuda_sass.k_loop(kernel, step=8)
    assert kind == "IMMA"
    assert counts["IMMA.16832"] == 1
    assert cuda_sass.shares(counts)["multiply-adds"] == 1


def test_chords_of_digits_are_those_of_one_chunk():
    """What stores converted numbers for another chunk is not part of it; blocks end at branches and
    labels.
    """
    tail = """\
        /*00a0*/               @!P3 BRA `(.L_x_9) ;
        /*00a8*/                   I2FP.F32.S32 R1, R2 ;
        /*00b0*/                   STS [R3], R1 ;
.L_x_9:
        /*00b8*/                   I2FP.F32.S32 R1, R2 ;
        /*00c0*/                   EXIT ;
"""
    text = SASS.replace("        /*00a0*/                   EXIT ;\n", tail)
    (kernel,) = cuda_sass.read_sass(text).values()
    _, loop = cuda_sass.k_loop(kernel)
    outside = sum(kernel.count().values()) - sum(loop.values())
    assert cuda_sass.chord_cost(kernel).slots * cuda_sass.ENTRIES == outside - 2
