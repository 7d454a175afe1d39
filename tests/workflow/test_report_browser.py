"""The page in headless Chromium with the network blocked."""

from pathlib import Path

import pytest

from engram_audio.report.page import render_page
from engram_audio.verdicts.words import NO_HEADS
from tests.chromium import Page, chromium, executable
from tests.report_tables import report_data, templates

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(executable() is None, reason="no Chromium is installed"),
]

HOSTILE = '"><script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">'
STRUCTURE = "document.getElementById('table-structure-table')"
SETTLE = "new Promise((done) => setTimeout(done, 150))"  # the filter waits 80 ms for more letters


@pytest.fixture(scope="module")
def page_path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_page(report_data(HOSTILE), templates()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(browser: Page, page_path: Path) -> Page:
    browser.open(page_path)
    return browser


def visible_rows(tab: Page) -> int:
    return tab.run(f"[...{STRUCTURE}.tBodies[0].rows].filter((row) => !row.hidden).length")


def test_page_opens_without_complaint_and_asks_only_for_itself(tab, page_path):
    assert tab.run("document.querySelector('.verdict-word').textContent") == NO_HEADS
    assert tab.complaints() == []
    assert tab.requests() == [page_path.as_uri()]


def test_hostile_names_do_nothing(tab):
    assert tab.run("window.hacked === undefined")
    assert tab.run(
        "[...document.querySelectorAll('#exclusions-table td')]"
        ".some((cell) => cell.textContent.includes('<script>'))"
    )


def test_sorting_orders_numbers_and_tells_assistive_technology(tab):
    script = f"""(() => {{
        const header = [...{STRUCTURE}.tHead.rows[0].cells]
            .find((cell) => cell.dataset.title === "Ratio");
        header.querySelector("button").click();
        const texts = [...{STRUCTURE}.tBodies[0].rows]
            .map((row) => row.cells[header.cellIndex].dataset.sort);
        const values = texts.filter((text) => text !== "").map(Number);
        return {{
            sorted: values.every((value, place) => place === 0 || values[place - 1] <= value),
            missing: texts.indexOf("") === values.length,
            aria: header.getAttribute("aria-sort"),
            marked: document.querySelectorAll("#table-structure-table [aria-sort]").length,
            said: document.getElementById("live").textContent,
        }};
    }})()"""
    assert tab.run(script) == {
        "sorted": True,
        "missing": True,
        "aria": "ascending",
        "marked": 1,
        "said": "Sorted by Ratio, ascending.",
    }
    again = tab.run(script)
    assert again["aria"] == "descending", "a second press turns it round"
    assert not again["sorted"]
    assert again["missing"], "rows without a number stay last"


def test_filter_and_button_show_what_they_say(tab):
    first = visible_rows(tab)
    tab.run("document.querySelector('#structure-table .more').click()")
    everything = visible_rows(tab)
    assert everything > first > 0
    tab.run(
        "(() => { const box = document.getElementById('structure-table-filter');"
        "box.value = 'MEDIAN-of-nothing'; box.dispatchEvent(new Event('input')); })()"
    )
    tab.run(SETTLE)
    assert visible_rows(tab) == 0
    tab.run(
        "(() => { const box = document.getElementById('structure-table-filter');"
        "box.value = 'mean_pool Medial'; box.dispatchEvent(new Event('input')); })()"
    )
    tab.run(SETTLE)
    found = visible_rows(tab)
    assert 0 < found < everything
    count = tab.run("document.querySelector('#structure-table .count').textContent")
    assert count == f"{found} of {everything} rows"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_theme_follows_the_system_and_toggles(browser, page_path, theme):
    browser.open(page_path, theme=theme)
    ground = "getComputedStyle(document.body).backgroundColor"
    label = "document.querySelector('.theme').textContent"
    before, offered = browser.run(ground), browser.run(label)
    assert offered == {"light": "Dark theme", "dark": "Light theme"}[theme]
    browser.run("document.querySelector('.theme').click()")
    assert browser.run(ground) != before
    assert browser.run(label) != offered


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_page_never_scrolls_sideways(browser, page_path, width):
    browser.open(page_path, width=width)
    browser.run("document.querySelectorAll('details').forEach((item) => { item.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "height", "unfolds"), [(1280, 800, False), (390, 844, True)])
def test_the_first_screen_holds_five_answers(browser, page_path, width, height, unfolds):
    """With their sentences on a wide screen; on a narrow one these wait for a touch or a key."""
    browser.open(page_path, width=width, height=height)
    bottom = "document.querySelector('.chain').getBoundingClientRect().bottom"
    shown = "[...document.querySelectorAll('.chain p')].map((text) => text.checkVisibility())"
    assert browser.run(bottom) <= height
    assert browser.run(shown) == [not unfolds] * 5
    browser.run("document.querySelector('.chain summary').focus()")
    browser.press(" ", 32)
    assert browser.run(shown)[0] is True


def test_all_columns_show_at_a_press(tab):
    shown = f"[...{STRUCTURE}.tHead.rows[0].cells].filter((cell) => cell.checkVisibility()).length"
    tab.run("document.getElementById('structure-tables').open = true")
    few = tab.run(shown)
    tab.run("document.querySelector('#structure-table .columns').click()")
    assert 0 < few < tab.run(shown)
    assert tab.run(
        "document.querySelector('#structure-table .columns').getAttribute('aria-pressed')"
    ) == "true"  # fmt: skip


def test_one_sound_at_a_time_by_keyboard(tab):
    tab.run("document.querySelectorAll('.play')[0].focus()")
    tab.press(" ", 32)
    playing = "[...document.querySelectorAll('audio')].map((sound) => !sound.paused)"
    pressed = "[...document.querySelectorAll('.play')].map((b) => b.getAttribute('aria-pressed'))"
    tab.run(SETTLE)
    assert tab.run(playing) == [True, False, False, False]
    assert tab.run(pressed)[0] == "true"
    tab.press("ArrowRight", 39)
    tab.run(SETTLE)
    assert tab.run(playing) == [False, True, False, False]
    assert tab.run("document.activeElement === document.querySelectorAll('.play')[1]")


def test_saved_drawing_stands_alone_and_csv_is_the_data(tab):
    script = """(async () => {
        const saved = [];
        URL.createObjectURL = (blob) => { saved.push(blob.text()); return "blob:none"; };
        HTMLAnchorElement.prototype.click = function () {};
        const figure = document.querySelector("#instrument figure");
        figure.querySelector(".svg").click();
        figure.querySelector(".csv").click();
        return Promise.all(saved);
    })()"""
    drawing, table = tab.run(script)
    assert "var(--" not in drawing
    assert 'xmlns="http://www.w3.org/2000/svg"' in drawing
    assert table.splitlines()[0].startswith("representation,split_seed,model")


def test_csv_of_a_table_cannot_start_a_formula(tab):
    script = """(async () => {
        const saved = [];
        URL.createObjectURL = (blob) => { saved.push(blob.text()); return "blob:none"; };
        HTMLAnchorElement.prototype.click = function () {};
        const block = document.getElementById("exclusions-table");
        block.querySelector("tbody td").textContent = "=1+1";
        block.querySelector(".csv").click();
        return saved[0];
    })()"""
    assert ",'=1+1," in tab.run(script)


def test_permalink_opens_what_hides_its_target(tab):
    tab.run("location.hash = '#fig-mel_pca_overlap_control-sweep'")
    tab.run(SETTLE)
    assert tab.run(
        "document.getElementById('fig-mel_pca_overlap_control-sweep').closest('details').open"
    )


def test_print_shows_everything_but_controls(tab):
    tab.send("Emulation.setEmulatedMedia", media="print", features=[])
    hidden = "getComputedStyle(document.querySelector('{}')).display"
    assert tab.run(hidden.format("audio")) == "none"
    assert tab.run(hidden.format(".table-tools")) == "none"
    assert tab.run(hidden.format(".play img")) != "none", "spectrograms are kept"
    tab.run("window.dispatchEvent(new Event('beforeprint'))")
    assert tab.run("document.querySelectorAll('details:not([open])').length") == 0
    tab.run("window.dispatchEvent(new Event('afterprint'))")
    assert tab.run("document.querySelectorAll('details:not([open])').length") > 0
    tab.send("Emulation.setEmulatedMedia", media="", features=[])
