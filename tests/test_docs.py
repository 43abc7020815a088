"""The code blocks of the documentation run as they stand, block after block."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md"])
def test_code_blocks_run(page):
    text = (ROOT / page).read_text()
    blocks = BLOCK.findall(text)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        above = text[: text.index(block)].count("\n")  # lines are numbered as on the page
        exec(compile("\n" * above + block, page, "exec"), names)  # noqa: S102  (the page is ours)
