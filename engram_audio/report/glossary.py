"""Words that a reader may not know, and links to them inside the page.

`make docs` writes docs/glossary.md from these terms.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from markupsafe import Markup, escape


class Term(NamedTuple):
    """One entry.

    Attributes:
        word: The word.
        meaning: What it means.
        forms: How else it is written in a sentence.
    """

    word: str
    meaning: str
    forms: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its id on the page."""
        return f"term-{re.sub(r'[^a-z0-9]+', '-', self.word.lower()).strip('-')}"


TERMS = (
    Term("added", "What a key and a linear model of the same past explain together, less what the "
         "linear model explains alone. A share of all variance, less the cost of fitting."),
    Term("added fraction", "Added, divided by attainable: 1 is what as many cells of the target "
         "itself would add."),
    Term("attainable", "Of a key: what as many cells of the target itself add to the linear model. "
         "Of a horizon: what the best forecast gains there, chosen on select among all methods."),
    Term("baseline", "The linear model that a key or a network is compared with."),
    Term("cell", "One value of a key, and all frames with that value. It is effective if at least "
         "`minimum_cell_frames` train frames fall into it.", ("cells",)),
    Term("codebook size K", "Number of cells of a key. A key carries at most ln K nats.",
         ("codebook size",)),
    Term("context", "The W frames that end k frames before the target: x_{t-k-W+1} to x_{t-k}."),
    Term("control", "The same analysis with labels that know nothing: permuted over frames, or "
         "taken from another utterance. It must add 0.", ("controls",)),
    Term("delta", "x_t - x_{t-1}, in units of train mean and standard deviation: the target of the "
         "structure stage."),
    Term("eval", "Speakers held out of every fit and every choice. All scores are theirs."),
    Term("excluded mass", "Share of frames whose cell is not effective."),
    Term("explained variance", "1 - ratio."),
    Term("frame", "One latent vector x_t."),
    Term("frame that decides", "A frame that differs from the one before it and holds sound. Only "
         "these are targets of fits and scores."),
    Term("free run", "A method that is fed its own output from a true state on. A run that leaves "
         "the data has diverged, and one that stops moving is frozen.",
         ("free running", "free runs")),
    Term("gate", "Of question 1: what is asked of a key, fixed beforehand. Of a memory: the weight "
         "of what it reads."),
    Term("guard", "A test learned from train frames: a draw outside their support is drawn again."),
    Term("head", "A network that gives a density of the next frame from the context.", ("heads",)),
    Term("influence", "Derivative of an estimate in one speaker's weight. Its spread over speakers "
         "gives the standard error."),
    Term("injection", "The true frame is put in after every n steps of a free run."),
    Term("innovation, z_rec", "What is new in a frame given its past and z_dyn. Its rate is a KL "
         "divergence in nats per frame.", ("innovation", "z_rec")),
    Term("kept", "A forecast's gain over the marginal as a share of the attainable."),
    Term("key", "A function of the context with K values. Its name says what is computed, from "
         "which input, and how it becomes a cell: `pca.raw.kmeans_64`.", ("keys",)),
    Term("knock-out", "A model with its memory switched off."),
    Term("lag k", "How stale the context is, in frames. Lag 1 is the frame before the target, "
         "and lag 2 hides that frame.",
         ("lag",)),
    Term("matched rate", "Two representations at one frame rate: frames of the faster one are "
         "stacked, averaged, or turned into their mean and contrasts."),
    Term("mean only", "Of WRONG KEY: whether a key tells the spread of the next step was not "
         "asked."),
    Term("memory", "A table read by a key of the context, whose entry changes the forecast. A slot "
         "is one entry, and the value is what it stores.",
         ("memories", "lookup")),
    Term("nats per frame", "Difference of two log scores on the same frames. Nats times the frame "
         "rate / ln 2 are bits per second.", ("nats",)),
    Term("null", "What a score would be without the structure in question: white noise, a linear "
         "model, a marginal.", ("nulls",)),
    Term("oracle", "The best possible key of K cells: cells of the target itself."),
    Term("overlap share", "Information left when the codec hears its audio in permuted blocks, as "
         "a share of the original. Shared samples, speaker and loudness predict that much."),
    Term("ratio", "Squared error of delta around the train cell means, over that around the train "
         "mean, on the same frames."),
    Term("representation", "A named sequence of vectors per utterance, with speakers: latents of a "
         "codec, your arrays, a simulated world, or a surrogate of any.", ("representations",)),
    Term("select", "Whole train speakers that nothing is fitted on. Every choice and every early "
         "stop is made on them. Fewer than 16 train speakers leave none: choices use val."),
    Term("slice", "Frames chosen by their position or by the energy of the newest context frame. "
         "Everything is fitted again inside a slice.", ("slices",)),
    Term("split seed", "Seed of the draw of eval and select speakers and of val utterances."),
    Term("state, z_dyn", "The part of a factorised latent that the past predicts, with unit "
         "variance.", ("z_dyn",)),
    Term("surrogate", "A representation made from another that keeps some of it. Shuffled frames "
         "keep the marginal. Randomised phases and a fitted VAR keep the spectra.",
         ("surrogates",)),
    Term("train mean", "Mean of delta over the slice's train frames: a prediction without a key."),
    Term("transfer loss", "1 - added on eval / added on val: what a key loses on new speakers."),
    Term("utterance, speaker", "A recording and who speaks. The speaker is the unit of every "
         "interval.", ("speakers",)),
    Term("val", "Held-out utterances of fitted speakers."),
    Term("window W", "Frames of context."),
)  # fmt: skip
FORMS = {form.lower(): term for term in TERMS for form in (term.word, *term.forms)}
FOUND = re.compile(
    r"<code>.*?</code>|\b("
    + "|".join(sorted(map(re.escape, FORMS), key=len, reverse=True))
    + r")\b",
    re.I,
)


def linked(text: str) -> Markup:
    """Return text for the page in which the first use of each term is a link to its meaning.

    What stands between backticks becomes code. The rest is escaped.
    """
    return linked_html(prose(text))


def linked_html(html: Markup) -> Markup:
    """Return text that is escaped already, with the same links."""
    return Markup("".join(_pieces(str(html))))


def prose(text: str) -> Markup:
    """Return text for the page: what stands between backticks becomes code, the rest is escaped."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _pieces(html: str) -> Iterator[str]:
    place, used = 0, set()
    for match in FOUND.finditer(html):
        term = FORMS.get((match[1] or "").lower())
        if term is None or term in used:
            continue
        used.add(term)
        yield html[place : match.start()]
        yield f'<a class="term" href="#{term.name}">{match[0]}</a>'
        place = match.end()
    yield html[place:]


def glossary_text() -> str:
    """Return the glossary as Markdown."""
    rows = [f"| {term.word} | {term.meaning} |" for term in TERMS]
    head = "`make docs` writes this page from `engram_audio/report/glossary.py`."
    return "\n".join(["# Glossary", "", head, "", "| word | meaning |", "| --- | --- |", *rows, ""])
