"""Generators that are told a text and a speaker prompt, from training to the table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.table import read_table, write_table
from engram_audio.corpus.split_parts import EVAL, PARTS
from engram_audio.errors import InputError
from engram_audio.generation.names import NULLS
from tests.unit.condition_material import CONDITION
from tests.unit.generator_material import MINIMAL, SETTINGS
from tests.workflow import test_generation_steps
from tests.workflow.test_generation_steps import KEY, NO_REPLAY, all_finite, publish, train

study = test_generation_steps.study  # the fixture of the stage's steps
ARMS = ["S", "SM", "F", "SMx"]
GENERATOR = {
    "arms": ARMS, "model": {**SETTINGS, "condition": CONDITION},
    "insertion": {**MINIMAL, "key": KEY},
}  # fmt: skip
PROTOCOL = {"replay": NO_REPLAY, "seeds": [0], "repeated_arms": []}


def texts_of(
    study: Path, output: Path, said: str | None, told: tuple[str, ...] = PARTS
) -> list[Path | str]:
    """Transcripts of the utterances of some parts."""
    splits = read_table(study / "splits.parquet", ["utterance_id", "split"])
    names, is_told = pd.DataFrame(splits["utterance_id"]), splits["split"].isin(told)
    said_by = [said if n % 2 or said is None else "b a" for n in range(len(names))]
    said_by = [own if known else None for own, known in zip(said_by, is_told, strict=True)]
    write_table(output / "utterances.parquet", names.assign(transcript=said_by), {})
    return ["--utterances", output / "utterances.parquet"]


def test_eval_frames_are_scored_with_and_without_what_is_told(study: Path, tmp_path: Path):
    """Both scores stand in one row, of every arm that is trained, on the same frames."""
    told = texts_of(study, tmp_path, "ab")
    made = train(study, tmp_path, ARMS, told, generator=GENERATOR, protocol=PROTOCOL)
    table = publish(study, made, tmp_path / "generator.json", told=told)["generation"]
    of_arms = table.loc[~table["arm"].isin(NULLS)]
    assert set(of_arms["arm"]) == set(ARMS) and len(set(table["num_frames"])) == 1
    assert all_finite(of_arms, "nll_nats", "nll_untold_nats")
    assert not np.isclose(of_arms["nll_nats"], of_arms["nll_untold_nats"], atol=1e-9).any()
    assert int(table["nll_untold_nats"].isna().to_numpy().sum()) == len(NULLS)
    assert table["energy_untold"].isna().to_numpy().all()
    sums = pd.read_parquet(made.parent / "scores.parquet")
    assert set(sums.loc[sums["nll_untold"].notna(), "part"]) == {"eval"}


def test_a_transcript_that_eval_lacks_ends_the_training(study: Path, tmp_path: Path):
    """Hours before eval frames are scored; train and the choice part have theirs."""
    told = texts_of(study, tmp_path, "ab", tuple(part for part in PARTS if part != EVAL))
    with pytest.raises(InputError, match=r"model\.condition\.text: utterance \S+ has no"):
        train(study, tmp_path, ["S"], told, generator=GENERATOR, protocol=PROTOCOL)


def test_a_corpus_without_transcripts_ends_the_training_in_one_line(study: Path, tmp_path: Path):
    told = texts_of(study, tmp_path, None)
    with pytest.raises(InputError, match=r"model\.condition\.text: utterance \S+ has no") as error:
        train(study, tmp_path, ARMS, told, generator=GENERATOR, protocol=PROTOCOL)
    assert "\n" not in str(error.value)
