"""Follows every link inside a built site: pages, anchors, images, styles, downloads, and the
Markdown twins; lists those that lead nowhere.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Links and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what an element links to, and its names."""
        for key, value in attrs:
            if value is None:
                continue
            if key in ("href", "src"):
                self.links.append(value)
            elif key == "srcset":
                self.links += [part.split()[0] for part in value.split(",")]
            elif key == "id" or (key == "name" and tag == "a"):
                self.anchors.add(value)


def broken(site: Path) -> list[str]:
    """The links that lead nowhere, each after its page."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    found = [
        f"{path.relative_to(site)}: {link}"
        for path, page in pages.items()
        if "_static" not in path.parts
        for link in dict.fromkeys(page.links)
        if not _leads(path, link, pages)
    ]
    for path in [*site.rglob("*.md"), site / "llms.txt"]:
        text = re.sub(
            r"^```.*?^```|`[^`\n]*`",
            "",
            path.read_text(encoding="utf-8"),
            flags=re.MULTILINE | re.DOTALL,
        )
        for link in dict.fromkeys(re.findall(r"\]\(([^)\s]+)\)", text)):
            if not _leads(path, link.partition("#")[0], pages):
                found.append(f"{path.relative_to(site)}: {link}")
    return sorted(found)


def _leads(path: Path, link: str, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True  # not ours
    target = path.parent / unquote(parts.path) if parts.path else path
    target = target.resolve()
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return False
    anchor = unquote(parts.fragment)
    return not anchor or target not in pages or anchor in pages[target].anchors


def main() -> int:
    """Print broken links; 1 if there are any."""
    found = broken(Path(sys.argv[1]).resolve())
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
