"""Prints the requirements of the extra `docs`, without the package itself: for pip, from
pyproject.toml.
"""

from __future__ import annotations

import re
from pathlib import Path

text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
block = re.search(r"^docs = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)  # tomllib is new in 3.11
if block is None:
    raise SystemExit("pyproject.toml has no extra docs")
print(*re.findall(r'"([^"]+)"', block[1]))
