"""Sentences of the README, the docs and the page: `python -m tests.prose` lists the ten longest.

A machine can check three laws of plain English: at most thirty words in a sentence, no semicolon in
running text, and none of the words that only we ever used.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from engram_audio.provenance import ROOT
from engram_audio.report.registry import SECTIONS

MAXIMUM_WORDS = 30
# Each with what a textbook says.
PRIVATE = {
    "not told from": "not significantly different from",
    "told from nothing": "significantly above 0",
    "bends the law": "has the wrong distribution",
    "said only from": "claimed only where",
    "the house": "the package",
    "blown up": "diverged",
    "whose null": "which null",
}
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
MARKS = re.compile(
    r"`[^`]*`|!?\[([^\]]*)\]\([^)]*\)|<!--.*?-->|\*\*?|\{[%#{].*?[%#}]\}|</?[a-z][^<>\n]*>", re.S
)
# A sentence may begin with a symbol: `x`, `z_dyn`.
END = re.compile(r"(?<=[.!?:])[)\"']*\s+(?=[A-Z0-9*x]|[a-z]\b|[a-z]_)|\n\s*\n")
ITEMS = re.compile(r";\s+")  # of a list in a cell
# A new paragraph for every line that is an item, a row or a heading.
ITEM = re.compile(r"^\s*(?:[-*]|\d+\.|#+)\s+", re.M)


class Sentence(NamedTuple):
    """A sentence, where it stands, and whether that is a cell of a table: no running text."""

    place: str
    text: str
    is_cell: bool = False

    @property
    def num_words(self) -> int:
        """Words, and names between backticks as one word each."""
        return len(re.findall(r"[\w'.-]*\w[\w'.-]*", self.text))


def sentences_of(text: str, place: str) -> Iterator[Sentence]:
    """Yield the sentences of a Markdown page; code, tables' bars and links are left away."""
    text = FENCE.sub("\n\n", text)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    lines = [line for line in text.splitlines() if not line.startswith("|")]
    parts = {False: ITEM.sub("\n\n", "\n".join(lines)), True: "\n".join(rows).replace("|", "\n\n")}
    for is_cell, part in parts.items():
        part = MARKS.sub(lambda match: match[1] or ("Name" if match[0][0] == "`" else " "), part)
        for sentence in END.split(ITEMS.sub("\n\n", part) if is_cell else part):
            if words := " ".join(sentence.split()):
                yield Sentence(place, words, is_cell)


def all_sentences() -> Iterator[Sentence]:
    """Yield the sentences of README, docs and page."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    for path in pages:
        yield from sentences_of(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    for path in sorted((ROOT / "report_templates" / "sections").glob("*.j2")):
        yield from sentences_of(_prose_of(path), str(path.relative_to(ROOT)))
    for section in SECTIONS:
        yield from sentences_of(section.lead, f"report section {section.name}")
    for path in sorted((ROOT / "engram_audio" / "report").glob("figures*.py")):
        for text in captions_of(path.read_text(encoding="utf-8")):
            yield from sentences_of(text, f"captions of {path.name}")


def captions_of(code: str) -> Iterator[str]:
    """Yield the captions and alternative texts that a module of figures declares."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.keyword) and node.arg in ("shows", "caption"):
            yield str(getattr(node.value, "value", ""))


def _prose_of(path: Path) -> str:
    """Return what stands between the tags of a template."""
    text = re.sub(r"</?(?:p|li|h\d|summary|td|dd|dt|details|div)\b[^>]*>", "\n\n", path.read_text())
    return re.sub(r"\{[%#{].*?[%#}]\}", " ", text, flags=re.S)


def faults_of(sentence: Sentence) -> list[str]:
    """Return what is wrong with a sentence."""
    found = [f"say {better!r}" for word, better in PRIVATE.items() if word in sentence.text.lower()]
    if sentence.num_words > MAXIMUM_WORDS:
        found.append(f"{sentence.num_words} words")
    if ";" in sentence.text and not sentence.is_cell:
        found.append("a semicolon")
    return found


def main() -> None:
    """Print the ten longest sentences, and every fault."""
    sentences = list(all_sentences())
    for one in sorted(sentences, key=lambda one: -one.num_words)[:10]:
        print(f"{one.num_words:3} {one.place}: {one.text}")
    for one in sentences:
        if faults := faults_of(one):
            print(f"{one.place}: {', '.join(faults)}: {one.text}")


if __name__ == "__main__":
    main()
