"""The page says what the verdict rows say: it holds no bar and compares nothing with one."""

import ast
import re

import pandas as pd
import pytest

from engram_audio.provenance import ROOT
from engram_audio.report.data import ReportData
from engram_audio.report.page import render_page
from engram_audio.verdicts.answers import HEADLINE
from engram_audio.verdicts.row import OUTCOMES
from tests.report_codec_tables import with_codecs
from tests.report_factorizer_tables import with_factorizer
from tests.report_memory_tables import with_memory
from tests.report_prediction_tables import with_prediction
from tests.report_rollout_tables import with_rollout
from tests.report_tables import report_data, templates
from tests.unit.test_report_columns import draw_nothing

MODULES = sorted((ROOT / "engram_audio" / "report").rglob("*.py"))
# Words of outcomes. Everything else of these modules judges, or is what is judged by.
ALLOWED = {
    "engram_audio.verdicts": {"number"},
    "engram_audio.verdicts.judge": {"MET", "NOT_MET", "UNDECIDED"},
    "engram_audio.structure.verdicts": {"GATES"},
    "engram_audio.rollout.verdicts": {"is_named"},
}
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
# Constants `MAXIMUM_...` bound the size of the page itself, as does `maximum_table_rows`.
# Constants `MAXIMUM_...` bound the size of the page itself, as does `maximum_table_rows`.
BAR = re.compile(
    r"^(minimum|MINIMUM|maximum(?!_rows|_table_rows))|(?i:threshold|tolerance|_bars?$|^bars$)"
)
END = re.compile(r"(^|_)(low|high)$")


def imported(tree: ast.AST) -> list[tuple[str, str]]:
    """Pairs of a module and a name that a module imports from it."""
    return [
        (node.module or "", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]


def words_of(node: ast.AST) -> set[str]:
    """Every name, attribute and text below a node."""
    found = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            found.add(each.id)
        elif isinstance(each, ast.Attribute):
            found.add(each.attr)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            found.add(each.value)
    return found


def judgements(tree: ast.AST) -> list[str]:
    """Comparisons by size that name a bar, or hold an end of an interval against something else."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(op, ORDER) for op in node.ops):
            sides = [words_of(side) for side in (node.left, *node.comparators)]
            has_end = [any(END.search(word) for word in side) for side in sides]
            if any(BAR.search(word) for side in sides for word in side) or (
                any(has_end) and not all(has_end)
            ):
                found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_module_of_the_page_knows_a_bar(path):
    """No settings of a stage, no judge, no comparison with a bar or of an interval's end."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for module, name in imported(tree):
        is_settings = module.endswith(".config") and module != "engram_audio.report.config"
        assert not is_settings, f"{path}: imports {module}"
        if module.endswith((".verdicts", ".judge")):
            assert name in ALLOWED.get(module, set()), f"{path}: imports {module}.{name}"
    assert judgements(tree) == []


@pytest.mark.parametrize(
    "code",
    [
        "if low > 0.0: outcome = 'real'", "x = row['gain_nats_high'] <= 0",
        "kept_low >= bars['minimum_kept']", "value < minimum",
        "share > settings.maximum_excess_diverged", "1 - control_tolerance < value",
        "value > THRESHOLD",
    ],
)  # fmt: skip
def test_a_planted_judgement_is_seen(code):
    assert judgements(ast.parse(code))


@pytest.mark.parametrize(
    "code", ["high > low", "len(rows) > settings.maximum_table_rows", "number < 60", "low == high"]
)
def test_what_judges_nothing_passes(code):
    assert judgements(ast.parse(code)) == []


@pytest.fixture(scope="module")
def data() -> ReportData:
    found = report_data()
    for added in (with_prediction, with_factorizer, with_memory, with_rollout, with_codecs):
        found = added(found)
    return found._replace(settings=found.settings.model_copy(update={"maximum_table_rows": 8}))


@pytest.fixture
def render(monkeypatch: pytest.MonkeyPatch):
    """Render a page on which nothing is drawn."""
    draw_nothing(monkeypatch)
    return lambda data: render_page(data, templates())


def rows_on(page: str) -> list[tuple[str, str]]:
    """Outcome and sentence of every verdict row of a page, in order."""
    found = re.findall(
        r'<span class="outcome [a-z]*">([^<]*)</span>\s*<span class="what">(.*?)<br>', page, re.S
    )
    return [(outcome, sentence) for outcome, sentence in found]


def word_on(page: str) -> str:
    found = re.search(r'<p class="verdict-word [a-z]*">([^<]+)</p>', page)
    assert found
    return found.group(1)


def test_a_page_with_other_rows_says_what_they_say(data: ReportData, render):
    """Every outcome is another one and every sentence another; no old sentence is left."""
    table = data.tables["verdicts"]
    turned = {word: OUTCOMES[n - 1] for n, word in enumerate(OUTCOMES)}
    number = range(len(table))
    is_main = table["question"] == HEADLINE  # its case is the word of the page
    other = table.assign(
        outcome=table["outcome"].map(lambda word: turned[word]),
        case=table["case"].mask(is_main, "STOP"),
        reason=table["reason"].mask(is_main, ""),
        sentence=[f"Sentence {n} of others." for n in number],
    )
    page = render(data._replace(tables={**data.tables, "verdicts": other}))
    expected = dict(zip(other["sentence"], other["outcome"], strict=True))
    shown = rows_on(page)
    assert len(shown) > 100
    assert all(expected[sentence] == outcome for outcome, sentence in shown)
    assert word_on(page) == "STOP" != word_on(render(data))
    left = {str(sentence) for sentence in table["sentence"]}
    assert not {sentence for sentence in left if sentence in page}


def swapped(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose every value with an interval has the other sign."""
    ends = {"": "", "_low": "_high", "_high": "_low"}
    names = [name for name in table.columns if f"{name}_low" in table.columns]
    changed = {f"{name}{end}": -table[f"{name}{of}"] for name in names for end, of in ends.items()}
    return table.assign(**changed).copy()  # one block, as a table that is read from a file


def test_other_numbers_under_the_same_rows_change_no_verdict(data: ReportData, render):
    """The stage judges. A page of swapped numbers with the old rows is the old verdict."""
    tables = {
        name: table if name == "verdicts" else swapped(table) for name, table in data.tables.items()
    }
    before, after = render(data), render(data._replace(tables=tables))
    assert before != after
    assert rows_on(before) == rows_on(after) and word_on(before) == word_on(after)
