"""
Speed beside others
===================

One run of the benchmarks, as ``python -m bench --only speed,peers`` wrote it: the figures are drawn
from its files in ``docs/benchmarks``, which have the machine, the versions, every number and the
claims that did not hold. Seconds belong to that machine; ratios travel better.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt

results = Path("../benchmarks")
speed, peers = (json.loads((results / f"{name}.json").read_text()) for name in ("speed", "peers"))
about = speed["details"]["environment"] | speed["environment"]
print(
    about["cpu"],
    ", ".join(about["cpu_isa"]),
    f"{about['cores']} cores, Python {about['python']}",
    about["date"][:10],
)

# %%
# NC1 of the ReLU NNGP of 65,536 rows: what a whole call takes of the peak of multiply-adds that the
# same run measured. On this processor float32 rows of 97 features or more are multiplied by tiles
# of bytes, which have a peak of their own. Dotted: torch's product of rows alone, without a kernel
# or sums.

figure, axes = plt.subplots()
for dtype, style in (("float32", "o-"), ("float64", "s--")):
    rows = [row for row in speed["rows"] if row["N"] == 65_536 and row["dtype"] == dtype]
    d, share = [row["d"] for row in rows], [row["of peak"] for row in rows]
    (line,) = axes.plot(d, share, style, label=dtype)
    alone = [own / row["over torch.mm"] for own, row in zip(share, rows, strict=True)]
    axes.plot(d, alone, ":", color=line.get_color(), label=f"torch.mm, {dtype}")
axes.axhline(1, color="grey", linewidth=0.8)
axes.set(title="share of the FMA peak, N = 65,536", xlabel="features", xscale="log")
axes.legend()
plt.show()

# %%
# The same of 16,384 rows beside an expert's torch, which computes tiles in place as nc1fast does;
# eager, and by ``torch.compile``. Interleaved in one run.

programs = {"nc1fast": "o-", "torch-tiled": "s--", "torch-tiled-compiled": "^:"}
figure, axes = plt.subplots(1, 2, sharey=True)
for one, dtype in zip(axes, ("float32", "float64"), strict=True):
    for program, style in programs.items():
        rows = [
            row
            for row in peers["rows"]
            if (row["N"], row["dtype"], row["program"]) == (16_384, dtype, program)
        ]
        one.plot([row["d"] for row in rows], [row["seconds"] for row in rows], style, label=program)
    one.set(title=f"seconds, {dtype}", xlabel="features", xscale="log", yscale="log")
figure.legend(*one.get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()

# %%
# What was promised and did not hold on this machine:

for claim in (*speed["claims"], *peers["claims"]):
    if not claim["holds"]:
        print(f"{claim['claim']}: {claim['measured']:.3g}, promised {claim['target']}")
