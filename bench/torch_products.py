"""The products of rows alone, by torch: the part of a Gram matrix that vendors' libraries compute.

  python -m bench.torch_products THREADS FEATURES DTYPE  ->  GFLOP/s, the median of 9 products

of (4096, d) with (d, 4096), the result in memory that is there already.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from bench._worker import ROOT, competitor_environment

SIDE = 4096
ROUNDS = 9


def gflops(n_threads: int, n_features: int, dtype: str) -> float | None:
    """Measure in a process of its own; None where torch is not there.

    Parameters
    ----------
    n_threads, n_features : int
    dtype : {"float32", "float64"}
    """
    command = [sys.executable, "-m", "bench.torch_products", str(n_threads), str(n_features), dtype]
    text = subprocess.run(
        command,
        cwd=ROOT,
        env=competitor_environment(n_threads),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return float(text) if text.strip() else None


def main(n_threads: int, n_features: int, dtype: str) -> None:
    """Print GFLOP/s, or nothing without torch."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(n_threads)
    A, B = (torch.randn(SIDE, n_features, dtype=getattr(torch, dtype)) for _ in range(2))
    out = torch.empty(SIDE, SIDE, dtype=A.dtype)
    seconds = []
    for _ in range(ROUNDS + 1):  # the first one warms up
        start = time.perf_counter()
        torch.mm(A, B.T, out=out)
        seconds.append(time.perf_counter() - start)
    print(2e-9 * SIDE**2 * n_features / statistics.median(seconds[1:]))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
