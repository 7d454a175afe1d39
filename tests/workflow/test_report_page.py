"""The page as a document: inert, complete, accessible, offline, with untrusted names everywhere."""

import itertools
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from engram_audio.report.glossary import linked
from engram_audio.report.page import prose, render_page, source_hash
from engram_audio.report.registry import SECTIONS
from engram_audio.report.sections import listening
from engram_audio.report.sections import verdict as verdict_section
from engram_audio.verdicts.answers import HEADLINE
from engram_audio.verdicts.judge import Judged
from engram_audio.verdicts.row import VerdictRow
from engram_audio.verdicts.sentences import WORDS, answer_word, first_sentence, rest_of_answer
from engram_audio.verdicts.words import OF_STRUCTURE
from tests.report_memory_tables import with_memory
from tests.report_tables import REGISTERED, report_data, silent_clip, templates
from tests.report_verdicts import judged

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
VOID = {"meta", "input", "img", "br", "link"}


class Document(HTMLParser):
    """Elements in order: tag, attributes, text inside."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag):
        while self.open and self.elements[self.open.pop()][0] != tag:
            pass

    def handle_data(self, data):
        for place in self.open:
            self.texts[place] += data

    def all(self, *tags: str) -> list[tuple[dict[str, str | None], str]]:
        return [
            (attributes, text)
            for (tag, attributes), text in zip(self.elements, self.texts, strict=True)
            if tag in tags
        ]


@pytest.fixture(scope="module")
def html() -> str:
    return render_page(report_data(HOSTILE), templates())


@pytest.fixture(scope="module")
def document(html) -> Document:
    return Document(html)


def test_hostile_names_are_text(html, document):
    assert HOSTILE not in html
    assert "onerror" not in {name for _, attributes in document.elements for name in attributes}
    assert any(HOSTILE in text for _, text in document.all("td")), "the name is shown as it is"
    kinds = Counter(attributes.get("type") for attributes, _ in document.all("script"))
    assert kinds.pop(None) == 1, "one script, ours"
    assert set(kinds) == {"application/json"}


def test_policy_allows_only_our_own_script_and_style(html, document):
    policy = next(
        attributes["content"]
        for attributes, _ in document.all("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    sources = templates()
    assert policy and policy.startswith("default-src 'none'")
    assert f"script-src '{source_hash(sources['page.js'])}'" in policy
    assert f"style-src '{source_hash(sources['page.css'])}'" in policy
    assert "unsafe" not in policy
    assert not any("style" in attributes for _, attributes in document.elements)


def test_nothing_is_fetched(document):
    for tag, attributes in document.elements:
        for name in ("src", "href", "xlink:href", "action", "poster", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), f"{tag} {name}={value!r}"


def test_page_is_small(html):
    assert len(html.encode()) < 6_000_000


def test_ids_are_unique_and_links_arrive(document):
    ids = [attributes["id"] for _, attributes in document.elements if attributes.get("id")]
    assert [name for name, total in Counter(ids).items() if total > 1] == []
    targets = {
        attributes["href"][1:] for attributes, _ in document.all("a") if attributes.get("href")
    }
    known = set(ids)
    assert targets <= known
    for _, attributes in document.elements:
        for name in ("aria-labelledby", "for", "aria-describedby"):
            assert known.issuperset((attributes.get(name) or "").split())


def test_headings_descend_one_level_at_a_time(document):
    levels = [int(tag[1]) for tag, _ in document.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_tables_have_captions_scopes_and_sort_buttons(document):
    tables = document.all("table")
    assert len(tables) == len(document.all("caption")) > 5
    assert all(attributes.get("scope") in ("col", "row") for attributes, _ in document.all("th"))
    columns = [a for a, _ in document.all("th") if a.get("scope") == "col"]
    assert len(columns) == len([a for a, _ in document.all("button") if a.get("class") == "sort"])


def test_every_control_and_image_has_a_name(document):
    labelled = {attributes.get("for") for attributes, _ in document.all("label")}
    assert all(attributes.get("id") in labelled for attributes, _ in document.all("input"))
    for attributes, text in document.all("button", "summary", "a"):
        assert attributes.get("aria-label") or text.strip()
    assert all(attributes.get("alt") for attributes, _ in document.all("img"))
    for attributes, _ in document.all("svg"):
        described = attributes.get("role") == "img" and attributes.get("aria-labelledby")
        assert described or attributes.get("aria-hidden") == "true"


def test_each_section_starts_with_how_to_read_it(document):
    names = [attributes.get("id") for attributes, _ in document.all("section")]
    # the sample study has no calibration worlds and compares no codecs: sections without tables are
    # left out
    absent = ("calibration", "codecs")
    expected = [section.name for section in SECTIONS if section.name not in absent]
    assert names == expected
    leads = [text for attributes, text in document.all("p") if attributes.get("class") == "lead"]
    assert len(leads) == len(expected)


def test_figures_state_estimator_n_resampling_and_assumption(document):
    figures = document.all("figure")
    assert len(figures) == 2 * 11, "eleven figures for each of two base representations"
    for attributes, text in figures:
        for word in ("Estimator:", "n:", "Resampled:", "Assumes:"):
            assert word in text, attributes.get("id")


def test_numbers_stand_with_interval_and_null(html):
    assert "Linear R²" in html
    assert re.search(r"0\.\d+ \[0\.\d+, 0\.\d+\]", html)


def test_what_was_not_measured_says_so(document):
    figure = next(text for a, text in document.all("figure") if a.get("id") == "fig-mel_pca-gate")
    assert figure.count("not measured") == 1
    assert any("not_attempted: 64 cells" in text for _, text in document.all("td"))


def test_registered_keys_show_first_and_the_rest_is_counted(document, html):
    first = [a for a, _ in document.all("tr") if a.get("data-first") == "1"]
    hidden = [a for a, _ in document.all("tr") if "hidden" in a]
    assert first and hidden
    assert "more rows are not on this page" in html
    assert all(key in html for key in REGISTERED)


@pytest.mark.parametrize(
    ("word", "mark"),
    [("PROCEED", "good"), ("STOP", "bad"), ("WRONG KEY", "bad"), ("UNDECIDED", "open"),
     ("INVALID", "void")],
)  # fmt: skip
def test_each_headline_has_its_sentence_and_colour(word, mark):
    data = report_data()
    table = data.table("verdicts")
    is_main = table["question"] == HEADLINE
    own = {"case": word, "outcome": OF_STRUCTURE[word], "sentence": f"{word}: made up."}
    changed = table.assign(**{name: table[name].mask(is_main, own[name]) for name in own})
    shown = verdict_section.build(data._replace(tables={**data.tables, "verdicts": changed}))
    assert (shown["word"], shown["mark"]) == (word, mark)
    assert shown["sentence_of_word"] == "Made up."
    assert len(shown["chain"]) == 5 and len(shown["expected"]) == 4


def test_each_of_five_questions_has_its_word_number_sentence_and_link(html, document):
    """What a reader sees at once; the link arrives at a section that is there."""
    items = re.findall(r"<li><details>(.*?)</details></li>", html, re.S)
    assert len(items) == 5
    for number, item in enumerate(items, start=1):
        assert f">{number}. " in item
        word = re.search(r"<strong[^>]*>([^<]+)</strong>", item)
        assert word and word[1] in WORDS
    assert all("</summary>" in item for item in items), "the sentence unfolds"
    sections = {attributes.get("id") for attributes, _ in document.all("section")}
    links = re.findall(r'<a href="#([a-z]+)">More', "".join(items))
    assert links and sections.issuperset(links)


def test_the_sentence_of_a_row_is_split_into_word_first_sentence_and_rest():
    row = VerdictRow("chain", "Q?", "m", "1", Judged("met", ""), "PROCEED, heads not run: a. B.")
    assert answer_word(row) == "PROCEED, heads not run", "not PROCEED"
    assert rest_of_answer(row) == "a. B."
    assert first_sentence(rest_of_answer(row)) == "a."
    assert first_sentence("gains 0.5 nats (x.y) of 3. Then; more") == "gains 0.5 nats (x.y) of 3."
    assert answer_word(row._replace(sentence="No row.")) == "met", "a sentence without a word"


def test_the_first_use_of_a_term_is_a_link_and_nothing_else_is_markup():
    shown = str(linked("a key <b> and `key.of` and another key; nats per frame"))
    assert shown.count('href="#term-key"') == 1
    assert "<code>key.of</code>" in shown and "&lt;b&gt;" in shown
    assert 'href="#term-nats-per-frame">nats per frame</a>' in shown, "the longest form"


def test_a_recording_is_embedded_once():
    """Round trip and resynthesis of one utterance share its original, and the button plays it."""
    data = report_data()
    (name, examples), *_ = data.players.items()
    made = [{**one, "decoded": silent_clip(9 + n)} for n, one in enumerate(examples)]
    shown = listening.build(data._replace(players={name: examples, f"{name}.charged": made}))
    first, second = (card["sounds"] for card in (group["cards"][0] for group in shown["groups"]))
    assert second[0]["same"] == first[0]["id"] and not second[0]["audio"]
    assert second[1]["audio"] and not second[1]["same"]


def test_a_section_opens_with_its_answer_and_shows_one_figure(html):
    for name in ("structure", "prediction"):
        body = re.search(rf'<section id="{name}".*?</section>', html, re.S)
        assert body and body[0].index('class="opening"') < body[0].index('class="lead"')
    unfolded = re.sub(r"<details.*?</details>", "", html, flags=re.S)
    assert 0 < unfolded.count("<figure") <= len(SECTIONS)


def test_columns_that_do_not_decide_wait_behind_a_button(document):
    headers = [a for a, _ in document.all("th") if a.get("scope") == "col"]
    extra = [a for a in headers if "extra" in (a.get("class") or "").split()]
    assert 0 < len(extra) < len(headers)
    assert any("columns" in (a.get("class") or "").split() for a, _ in document.all("button"))


def test_verdict_is_the_first_thing_said(document):
    first, _ = next(item for item in document.all("p") if item[0].get("class"))
    assert "verdict-word" in (first["class"] or "")


def test_study_without_sound_exclusions_cells_or_curves_still_renders():
    data = report_data()
    kept = ("structure", "verdicts")
    empty = {name: table.iloc[:0] for name, table in data.tables.items() if name not in kept}
    bare = data._replace(
        players={}, cells=data.cells.iloc[:0], manifests=[], tables={**data.tables, **empty}
    )
    page = render_page(bare, templates())
    assert "No representation of this study can be decoded to sound." in page
    assert "No file and no utterance was left out." in page


def test_sections_of_absent_tables_are_left_out():
    data = report_data()
    tables = {name: data.tables[name] for name in ("structure", "verdicts")}
    bare = data._replace(tables=tables, cells=data.cells.iloc[:0], players={})
    page = Document(render_page(bare, templates()))
    names = [attributes.get("id") for attributes, _ in page.all("section")]
    assert names == [
        "verdict", "matrix", "keys", "prediction", "factorizer", "memory", "rollout", "generation",
        "listening", "methods", "glossary", "provenance",
    ]  # fmt: skip
    assert "This study has no predictions" in "".join(text for _, text in page.all("li"))


def page_of(question: str, *tables: str) -> str:
    data = with_memory(report_data())
    kept = {name: table for name, table in data.tables.items() if name in tables}
    asked = judged(data._replace(question=question, tables=kept, players={}))
    return render_page(asked, templates())


FIRST = ("structure", "linear", "curves", "ngrams", "speakers", "corpus", "exclusions")


@pytest.mark.parametrize(
    ("question", "own"),
    [
        ("structure", ()),
        pytest.param("memory", ("memory", "memory_verdict"), marks=pytest.mark.slow),
    ],
)
def test_a_page_of_one_question_says_of_every_other_stage_that_it_was_not_run(question, own):
    """Not that the study does not ask it: this page cannot know."""
    texts = dict(
        (attributes.get("id"), text)
        for attributes, text in Document(page_of(question, *FIRST, *own)).all("section")
    )
    stages = {"structure", "prediction", "factorizer", "memory", "rollout", "codecs", "calibration",
              "generation"}  # fmt: skip
    not_run = {name for name in stages if f"snakemake {name} runs it" in texts[name]}
    assert not_run == stages - {"structure", question}
    assert "snakemake results/report.html runs it" in texts["listening"]
    assert not any("This study" in text for text in texts.values())


def test_the_page_of_the_whole_study_says_nothing_of_what_was_not_run(html):
    """What no stage of the study answers stands in the headline, as numbers of questions."""
    assert "Not run for this page" not in html and "made this page" not in html


def test_backticks_become_code_and_nothing_else_is_markup():
    assert str(prose("set `a.b` & <b>")) == "set <code>a.b</code> &amp; &lt;b&gt;"
    assert str(prose("`<script>`")) == "<code>&lt;script&gt;</code>"
