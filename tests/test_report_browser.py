"""The report in a real browser: it fits the window, it sorts, it prints, it is dark where the
reader wants it dark.
"""

from __future__ import annotations

import re

import pytest
from tests import study_rows as made
from tests.browser import CHROMIUM, Browser

from nc1fast.studies import figures, report
from nc1fast.studies.library import paper

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]
WIDTHS = (390, 800, 1400)


def page(rows, drawings, title="A study"):
    images = {drawing.name: figures.to_bytes(drawing, "svg") for drawing in drawings}
    return report.render(rows, {"title": title, "study": "paper"}, drawings, images)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    some = made.over_features(sizes=("64:64",), d0=(1, 8, 128), activations=("erf",))
    rows = [*some, *made.matched(some), *made.digits()]
    where = tmp_path_factory.mktemp("page") / "report.html"
    where.write_text(page(rows, paper.draw(rows)))
    return where


@pytest.fixture(scope="module")
def two_tables(tmp_path_factory):
    """A report whose answer has tables of D1 and of D2."""
    rows = []
    for dataset in ("D1", "D2"):
        some = made.over_features(
            dataset=dataset, sizes=("64:64",), d0=(1, 8, 128), activations=("erf",)
        )
        rows += [*some, *made.matched(some)]
    where = tmp_path_factory.mktemp("two") / "report.html"
    where.write_text(page(rows, []))
    return where


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_page_fits_the_window_without_an_error(browser, path, width, dark):
    browser.open(path, width, dark=dark)
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert browser.errors == []


def test_what_is_folded_fits_too(browser, path):
    for width in WIDTHS:
        browser.open(path, width)
        browser.value("document.querySelectorAll('details').forEach(d => { d.open = true })")
        assert browser.value("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [800, 1200, 1400, 1600])
def test_no_column_of_the_answer_is_cut(browser, two_tables, width):
    """Side by side, or one below the other; seven columns, with numbers as wide as they come."""
    browser.open(two_tables, width)
    numbers = "document.querySelectorAll('.answers td:not(:first-child)')"
    browser.value(f"{numbers}.forEach(c => {{ c.innerHTML = '<b>0.000888</b>' }})")
    boxes = "[...document.querySelectorAll('.answers .scroll')]"
    assert browser.value(f"{boxes}.length") > 1
    assert browser.value(f"{boxes}.every(b => b.scrollWidth <= b.clientWidth)")


def test_an_error_of_a_script_would_be_seen(browser, tmp_path):
    broken = tmp_path / "broken.html"
    broken.write_text("<script>nothing.at.all</script>")
    browser.open(broken, 800)
    assert browser.errors


CONTRASTS = r"""(() => {
  const rgb = text => text.match(/[\d.]+/g).map(Number);
  const luminance = c => {
    const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    const [r, g, b] = c.map(v => linear(v / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = node => {
    const layers = [];
    for (let n = node; n; n = n.parentElement)
      layers.push(rgb(getComputedStyle(n).backgroundColor));
    return layers.reverse().reduce((below, [r, g, b, a = 1]) =>
      [r, g, b].map((v, i) => a * v + (1 - a) * below[i]), [255, 255, 255]);
  };
  const out = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || node.matches("script, style")) continue;
    const ink = luminance(rgb(getComputedStyle(node).color));
    const [low, high] = [ink, luminance(behind(node))].sort((a, b) => a - b);
    const contrast = (high + .05) / (low + .05);
    if (contrast < 4.5)
      out.push([node.tagName, node.className, node.textContent.slice(0, 40), contrast]);
  }
  return out;
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_words_have_contrast(browser, path, dark):
    browser.open(path, 1400, dark=dark)
    browser.value("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert browser.value(CONTRASTS) == []


# Mean brightness of the corner of the page and of what lies on it in the first figure, from 0 to 1.
BRIGHTNESS = """(() => {
  const image = document.querySelector("figure img");
  const canvas = Object.assign(document.createElement("canvas"), {width: 600, height: 300});
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, 600, 300);
  const data = context.getImageData(0, 0, 600, 300).data;
  let sum = 0, weight = 0, corner = data[3];
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3] / 255;
    sum += alpha * (data[i] + data[i + 1] + data[i + 2]) / 765;
    weight += alpha;
  }
  return [corner, sum / weight];
})()"""


def test_figures_are_transparent_and_brighter_on_a_dark_page(browser, path):
    seen = {}
    for dark in (False, True):
        browser.open(path, 1400, dark=dark)
        corner, seen[dark] = browser.value(BRIGHTNESS)
        assert corner == 0
    assert seen[True] != seen[False] or pytest.skip("images do not follow an emulated scheme")
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(20, 23, 28)"


COLUMN = (
    "[...document.querySelector('.whole table').tBodies[0].rows]"
    ".map(r => r.cells[{}].textContent.trim())"
)


def test_tables_are_sorted_by_number_and_by_word_from_the_keyboard(browser, path):
    browser.open(path, 1400)
    browser.value("document.querySelectorAll('details').forEach(d => { d.open = true })")
    headers = browser.value("[...document.querySelectorAll('.whole th')].map(h => h.textContent)")
    for name, kind in (("nc1", float), ("model", str)):
        index = headers.index(name)
        button = f"document.querySelectorAll('.whole th')[{index}].querySelector('button')"
        before = browser.value(COLUMN.format(index))
        for direction, descending in (("ascending", False), ("descending", True)):
            browser.value(f"{button}.focus()")
            for type_ in ("keyDown", "keyUp"):
                key = {"key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13}
                browser("Input.dispatchKeyEvent", type=type_, **key)
            assert browser.value(f"{button}.parentElement.ariaSort") == direction
            assert browser.value("document.querySelectorAll('[aria-sort]').length") == 1
            after = browser.value(COLUMN.format(index))
            assert after != before
            assert after == sorted(
                before, key=collated if kind is str else float, reverse=descending
            )


def collated(word):
    """Order of words in a browser: capitals after their small letters, not before all of them."""
    return (word.lower(), word.swapcase())


def test_everything_is_there_without_scripts(browser, path):
    browser("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(path, 800)
    browser("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.value("document.querySelectorAll('th button').length") == 0
    assert browser.value("document.querySelectorAll('.whole tbody tr').length") > 50
    assert browser.errors == []


def test_all_sections_are_printed(browser, path):
    browser.open(path, 1400)
    headings = browser.value("[...document.querySelectorAll('h2')].map(h => h.textContent)")
    printed = browser.pdf()
    assert printed.startswith(b"%PDF")
    outline = {
        blank(title.decode("latin-1")) for title in re.findall(rb"/Title \(([^)]*)\)", printed)
    }
    assert len(headings) >= 6
    assert {blank(heading) for heading in headings} <= outline


def blank(text):
    """Without blanks, which the outline of a PDF loses at the ends of lines."""
    return re.sub(r"\s", "", text)


def test_what_is_folded_is_printed_but_for_the_long_tables(browser, path):
    browser.open(path, 800)
    browser("Emulation.setEmulatedMedia", media="print")
    height = "document.querySelector('{}').getBoundingClientRect().height"
    assert browser.value(height.format(".claim .more")) > 10
    assert browser.value(height.format(".whole .box")) == 0
    assert browser.value(height.format("nav")) == 0


def test_names_of_the_user_run_no_script(browser, tmp_path):
    odd = "<img src=x onerror='window.hit = 1'><script>window.hit = 1</script>"
    rows = [
        {**r, "dataset": odd, "arm": odd} for r in made.over_features(sizes=("64:64",), repeats=1)
    ]
    where = tmp_path / "odd.html"
    where.write_text(page(rows, paper.draw(rows), odd))
    browser.open(where, 800)
    assert browser.value("window.hit") is None
    assert browser.value("document.querySelector('h1').textContent") == odd
    assert browser.errors == []
