"""What was done, in words, from the configuration: the methods paragraph of a paper.

Every value comes from a section. A stage whose sections are not there was not run and is not named.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engram_audio.corpus.split_parts import EVAL, PARTS, SELECT, TRAIN, VAL
from engram_audio.verdicts import number

Sections = Mapping[str, Any]
OF_CORPUS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "librispeech": lambda row: f"LibriSpeech ({_listed(row['subsets'])})",
    "demo_speech": lambda row: (
        f"{row['num_speakers']} espeak-ng voices with {row['num_utterances_per_speaker']} "
        "utterances each"
    ),
    "directory": lambda row: f"the files below {row['root']}",
}


def methods_sentences(sections: Sections, corpus: Iterable[Mapping[Any, Any]] = ()) -> list[str]:
    """Return the sentences in the order of the stages.

    Args:
        sections: Sections of the configuration by dotted name, as plain documents.
        corpus: Rows of `tables/corpus.csv`: what the split made of the fractions that were asked.
    """
    held_out = [*_splits(sections), *_held_out(corpus)]
    others = (sentence for stage in STAGES for sentence in stage(sections))
    return [*_data(sections), *held_out, *others]


def _data(sections: Sections) -> Iterable[str]:
    for name, row in _library(sections, "corpora").items():
        what = OF_CORPUS.get(row["kind"], lambda row: f"a corpus of kind {row['kind']}")(row)
        yield (
            f"The corpus `{name}` is {what}; utterances below {row['minimum_duration_s']:g} s are "
            "left out."
        )
    rows = _library(sections, "representations.library")
    for name, row in rows.items():
        if row["kind"] == "arrays":
            yield (
                f"`{name}` are arrays of latents brought by the user, at "
                f"{row['frame_rate_hz']:g} frames per second."
            )
    codecs = sorted({row["codec"] for row in rows.values() if row["kind"] == "codec"})
    if codecs:
        kinds = {name: sections[f"codecs.library.{name}"]["kind"] for name in codecs}
        listed = [f"`{name}` (kind {kind})" for name, kind in kinds.items()]
        yield f"The latents come from {_listed(listed)}."


def _splits(sections: Sections) -> Iterable[str]:
    if sections.get("splits"):
        yield "Whole speakers are held out for scores (eval); nothing is fitted on them."
        yield "Of the others some are held out for every choice (select), where enough are left."
        yield "Else choices are made on val, held-out utterances of fitted speakers."


def _held_out(corpus: Iterable[Mapping[Any, Any]]) -> Iterable[str]:
    """Say what each split held out: few speakers leave other shares than were asked."""
    splits: dict[tuple[str, int], dict[str, Mapping[Any, Any]]] = {}
    for row in corpus:
        if str(row["split"]) in PARTS:
            place = str(row["corpus"]), int(row["split_seed"])
            splits.setdefault(place, {})[str(row["split"])] = row
    for (name, seed), parts in splits.items():
        count = {part: int(row["num_speakers"]) for part, row in parts.items()}
        spoken = {part: int(row["num_utterances"]) for part, row in parts.items()}
        rest = count[TRAIN] + count[SELECT]
        yield (
            f"Split {seed} of `{name}` holds out {_share(count[EVAL], rest + count[EVAL])} "
            f"speakers for eval, and {_share(count[SELECT], rest)} of the others for select."
        )
        yield (
            f"Of the fitted speakers' utterances {_share(spoken[VAL], spoken[TRAIN] + spoken[VAL])}"
            " are val."
        )


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({number.percent(part / whole if whole else 0.0, 0)})"


def _structure(sections: Sections) -> Iterable[str]:
    decision, views = sections.get("decision"), sections.get("views")
    if not (decision and views):
        return
    yield (
        f"A context holds {views['window_frames']} frames and ends {decision['lag_frames']} frames "
        f"before the target; slices that decide: {_listed(views['judged_slices'])}."
    )
    keys = _library(sections, "keys.library")
    if keys:
        yield f"Keys of the context come from {_listed(keys)}, quantised by k-means or quantiles."
    gate = decision.get("operative_gate", {})
    if "minimum_added_fraction" in gate:
        yield (
            f"The gate asks a key to add more than {gate['minimum_added_fraction']:g} of what as "
            "many cells could add to ridge regression, and "
            f"{gate['minimum_added_nats']:g} nats per frame."
        )


def _prediction(sections: Sections) -> Iterable[str]:
    heads = _library(sections, "prediction.library")
    if heads:
        recipes = {row.get("recipe") for row in heads.values()}
        steps = {sections[f"recipes.{one}"]["num_steps"] for one in recipes if one}
        yield (
            f"Density heads: {_listed(heads)}, trained for at most {_listed(sorted(steps))} steps "
            "with early stops on the part of the choices."
        )


def _factorizer(sections: Sections) -> Iterable[str]:
    variants = _library(sections, "factorizer.library")
    if variants:
        yield f"Factorisers into a predictable state and an innovation: {_listed(variants)}."


def _memory(sections: Sections) -> Iterable[str]:
    memories = _library(sections, "memory.library")
    if memories:
        gain = sections["memory.verdict"]["minimum_gain_nats"]
        yield (
            f"Memories: {_listed(memories)}; each must gain more than {gain:g} nats per frame over "
            "every control."
        )


def _rollout(sections: Sections) -> Iterable[str]:
    methods, row = _library(sections, "rollout.library"), sections.get("rollout")
    if methods and row:
        yield (
            f"Free running: {_listed(methods)}, over {row['horizon_frames']} frames from "
            f"{row['num_starts']} true states with {row['num_samples']} samples each."
        )


def _trust(sections: Sections) -> Iterable[str]:
    worlds = sections.get("calibration.worlds", {}).get("names")
    if worlds:
        yield f"The same rules were run on simulated worlds with known answers: {_listed(worlds)}."
    statistics = sections.get("statistics")
    if statistics:
        yield (
            f"Intervals are at {number.percent(statistics['confidence'], 0)} over speakers; "
            "`docs/how-to-read-the-report.md` gives the estimators."
        )


STAGES = (_structure, _prediction, _factorizer, _memory, _rollout, _trust)


def _library(sections: Sections, prefix: str) -> dict[str, Any]:
    """Return the entries of a library by their own names."""
    start = f"{prefix}."
    return {
        name.removeprefix(start): value
        for name, value in sorted(sections.items())
        if name.startswith(start)
    }


def _listed(items: Iterable[Any]) -> str:
    """Return items as a list in prose."""
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last
