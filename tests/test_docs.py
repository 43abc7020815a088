"""The code blocks of the documentation run as they stand, block after block; what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nc1fast import studies

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md", "docs/differences.md"])
def test_code_blocks_run(page):
    text = (ROOT / page).read_text()
    blocks = BLOCK.findall(text)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        above = text[: text.index(block)].count("\n")  # lines are numbered as on the page
        exec(compile("\n" * above + block, page, "exec"), names)  # noqa: S102  (the page is ours)


def test_the_study_of_the_guide_is_one():
    text = (ROOT / "docs" / "guide.md").read_text()
    [block] = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    study = studies.parse(block)
    assert [arm.name for arm in study.arms] == ["mine"]
    kinds = [type(entry).__name__ for entry in study.arms[0].entries]
    assert kinds == ["Training", "Adaptive", "Adaptive"]


DIFFERENCES = (ROOT / "docs" / "differences.md").read_text()


def test_every_difference_is_shown_by_a_test_that_exists():
    table = [line for line in DIFFERENCES.splitlines() if line.startswith("| D-")]
    assert [line.split(" | ")[0] for line in table] == [f"| D-{n}" for n in range(1, 11)]
    test = re.compile(r"`(tests/\w+\.py)::(\w+)`")
    assert all(test.search(line) for line in table)
    for file, name in test.findall(DIFFERENCES):
        assert f"\ndef {name}(" in (ROOT / file).read_text(), name


def test_files_and_commands_of_the_differences_exist(call):
    assert all(
        (ROOT / name).exists()
        for name in re.findall(r"`((?:python|bench|docs)/[^`]+)`", DIFFERENCES)
    )
    commands = re.findall(r"`nc1fast (study [^`]* --[^`]*)`", DIFFERENCES)
    assert len(commands) == 2
    for command in commands:
        assert call(*command.split(), "--dry-run")[0] == 0


def test_every_concept_of_the_architecture_page_is_where_the_page_says():
    page = (ROOT / "docs" / "architecture.md").read_text()
    homes = re.findall(r"^\| [^|]+ \| `([^`]+)` \| `(\w+)` \|$", page, re.MULTILINE)
    assert len(homes) > 20
    for path, name in homes:
        definition = rf"\b(?:class|struct|def|bool|inline void|inline) {name}\b|^{name}\b"
        assert re.search(definition, (ROOT / path).read_text(), re.MULTILINE), (path, name)
    for path in re.findall(r"`((?:python|cpp|tests|docs)/[\w./]+)`", page):
        assert (ROOT / path).exists(), path
