"""What a new user does first, timed: the first number of the README, and the page docs/start.md as
it stands.

Runs in the environment of a wheel: `python ci/first_steps.py` fails where a block of these pages
does. With `--number-alone` it needs NumPy alone, and stops before the figure.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run(page: str, *, figures: bool) -> None:
    """The blocks of a page, one after the other, in an empty folder."""
    names: dict[str, Any] = {}
    for block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        if not figures and "matplotlib" in block:
            continue
        began = time.perf_counter()
        exec(compile(block, page, "exec"), names)  # noqa: S102  (the page is ours)
        print(f"{page}: {time.perf_counter() - began:.1f} s")
    result = names["result"]
    value = result if isinstance(result, float) else result.nc1
    if not 0 < value < 1:
        raise SystemExit(f"{page}: NC1 is {value}")


if __name__ == "__main__":
    figures = "--number-alone" not in sys.argv
    os.chdir(tempfile.mkdtemp())
    os.environ["MPLBACKEND"] = "agg"
    for page in ("README.md", "docs/start.md"):
        run(page, figures=figures)
    if figures and Path("depth.png").stat().st_size < 10_000:
        raise SystemExit("no figure")
