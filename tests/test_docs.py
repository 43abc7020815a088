"""The code blocks of the documentation run as they stand, block after block; what it names is
there.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import types
from pathlib import Path

import pytest

import nc1fast
from nc1fast import studies

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "page",
    ["README.md", "docs/guide.md", "docs/differences.md", "docs/start.md", "docs/plugins.md"],
)
def test_code_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a block may save a figure
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
    files = re.findall(r"`((?:python|bench|docs)/[^`]+)`", DIFFERENCES)
    assert all((ROOT / name).exists() for name in files)
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


# The site, of which Sphinx is not needed here

FACES = [n for n in nc1fast.__all__ if isinstance(getattr(nc1fast, n), types.ModuleType)]
FACES += ["kernels", "studies"]


def public_names() -> set[str]:
    """Every public name, once: nc1fast.NTK, and not nc1fast.kernels.NTK."""
    root = set(nc1fast.__all__) - set(FACES)
    names = {f"nc1fast.{name}" for name in root}
    for face in FACES:
        module = importlib.import_module(f"nc1fast.{face}")
        names |= {f"nc1fast.{face}.{name}" for name in set(module.__all__) - root}
    return names


def test_the_reference_lists_every_public_name_once():
    page = (ROOT / "docs" / "api.md").read_text()
    listed = re.findall(r"^ +(nc1fast\.[\w.]+)$", page, re.MULTILINE)
    assert len(listed) > 100
    assert sorted(listed) == sorted(public_names())


def test_links_of_the_pages_lead_to_files_and_headings():
    patterns = ("*.md", "docs/*.md", "docs/atlas/**/*.md")
    pages = [page for pattern in patterns for page in ROOT.glob(pattern)]
    assert len(pages) > 10
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", _prose(page.read_text())):
            path, _, anchor = link.partition("#")
            if ":" in path:
                continue
            target = page.parent / path if path else page
            assert target.exists(), (page.name, link)
            if anchor:
                assert anchor in _anchors(target.read_text()), (page.name, link)


def test_the_site_splits_the_guide_into_its_chapters_and_loses_no_line():
    site = _of_the_site("chapters")
    guide = (ROOT / "docs" / "guide.md").read_text()
    head, chapters = site.split(guide)
    titles = [chapter.title for chapter in chapters]
    assert titles == re.findall(r"^## (.+)$", _prose(guide), re.MULTILINE)
    assert {title for group in site.GROUPS.values() for title in group} <= set(titles)
    parts = "\n".join([head, *(f"{chapter.title}\n{chapter.text}" for chapter in chapters)])
    assert _bare(parts) == _bare(guide)
    contents = site.contents(head, chapters)
    assert all(f"\nguide/{chapter.name}\n" in contents for chapter in chapters)


def test_links_to_a_chapter_lead_to_its_page():
    site = _of_the_site("chapters")
    _, chapters = site.split(
        "# Guide\n\n## One thing\n\n[x](#deep) [y](a.md)\n\n## Two\n\n```sh\n## no\n```\n\n### "
        "Deep\n"
    )
    assert [chapter.title for chapter in chapters] == ["One thing", "Two"]
    assert "[x](two.md#deep) [y](../a.md)" in site.page(chapters[0], chapters)
    assert site.led("docs/guide.md#one-thing", chapters) == "docs/guide/one-thing.md"
    assert site.led("guide.md", chapters) == "guide.md"
    with pytest.raises(ValueError, match="no chapter #three"):
        site.led("guide.md#three", chapters)


def test_broken_links_of_a_built_site_are_found(tmp_path):
    links = ["b.html", "b.html#here", "#top", "b.html#gone", "no.html", "https://example.org/no"]
    anchors = "".join(f'<a href="{link}">x</a>' for link in links)
    (tmp_path / "a.html").write_text(f'<h1 id="top">A</h1>{anchors}<img src="no.png">')
    (tmp_path / "b.html").write_text('<h1 id="here">B</h1>')
    (tmp_path / "b.md").write_text("[a](a.html) [no](no.md) `[code](none.md)`\n")
    (tmp_path / "llms.txt").write_text("- [b](b.md)\n")
    found = _of_the_site("check_links").broken(tmp_path)
    assert found == ["a.html: b.html#gone", "a.html: no.html", "a.html: no.png", "b.md: no.md"]


def test_examples_have_a_place_a_title_and_a_figure():
    examples = {path.stem: path.read_text() for path in (ROOT / "docs" / "examples").glob("*.py")}
    order = (ROOT / "docs" / "site" / "examples.py").read_text()
    places = re.findall(r'"(\w+)"', order.partition("ORDER = (")[2].partition("\n)")[0])
    assert sorted(places) == sorted(examples)
    assert len(places) >= 12
    for name, text in examples.items():
        assert re.match(r'"""\n[^\n]+\n=+\n\n\S', text), name
        assert "plt.show()" in text, name


def _of_the_site(name: str) -> types.ModuleType:
    """A module of docs/site, which is no package."""
    spec = importlib.util.spec_from_file_location(f"site_{name}", ROOT / "docs/site" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # for its dataclasses
    spec.loader.exec_module(module)
    return module


def _bare(text: str) -> list[str]:
    """Lines without the marks of headings."""
    return [line.lstrip("#").strip() for line in text.splitlines() if line.strip()]


def _prose(text: str) -> str:
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchors(text: str) -> list[str]:
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", outside, re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
