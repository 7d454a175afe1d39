"""What utterances are told: symbols of their text, prompts of their speaker; what is refused."""

from typing import Any

import numpy as np
import pytest
import torch

from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.generation.condition_config import ConditionSection, TextSection
from engram_audio.generation.condition_data import Conditions, symbols_of, text_alone
from engram_audio.generation.continuation import continued_frames
from engram_audio.generation.density import PLAIN, Sampling, as_step_density
from engram_audio.generation.storage import pack_generator, unpack_generator
from engram_audio.plan import Plan
from tests import studies
from tests.unit.condition_material import CONDITION, TEXT, block, texts, told_data, told_settings
from tests.unit.generator_material import NUM_DIMS, arm, frames, settings

CPU = torch.device("cpu")
SECTION = TextSection.model_validate(TEXT)


def conditions(num_utterances: int, num_speakers: int, **changes: Any) -> Conditions:
    of = block(num_utterances, num_speakers)
    own = told_settings({**CONDITION, **changes})
    found = told_data(own, of, texts(of)).conditions
    assert found is not None
    return found


def rows_of(first: int, count: int = 6) -> torch.Tensor:
    return torch.arange(first, first + count).unsqueeze(0)


def test_each_character_has_its_symbol_and_all_others_share_one():
    assert symbols_of("u", "ab ?aß", SECTION) == [0, 1, 2, 3, 0, 3]
    assert SECTION.num_symbols == 4


@pytest.mark.parametrize(
    ("said", "message"),
    [(None, "text: utterance u7 has no transcript; take a corpus that has them, or write null"),
     ("", "has no transcript"),
     ("ab" * 5, "maximum_characters: the transcript of utterance u7 has 10 characters; raise it"),
     ("XYZ", "alphabet: has no character of the transcript of utterance u7")],
)  # fmt: skip
def test_a_text_that_cannot_be_told_is_one_line(said: str | None, message: str):
    """It names the key, the utterance and what to do."""
    with pytest.raises(ValueError, match=message) as error:
        symbols_of("u7", said, SECTION)
    assert "model.condition.text" in str(error.value) and "\n" not in str(error.value)


def test_a_missing_transcript_of_the_data_is_named():
    """None of them, or no table at all."""
    of = block()
    for said in (None, {"u0": "ab"}):
        with pytest.raises(ValueError, match=r"utterance u[01] has no transcript"):
            told_data(told_settings(), of, said)


def test_a_chunk_inside_an_utterance_is_told_the_whole_text():
    """With the place of its first frame; a text shorter than the longest is padded, unseen."""
    own, of = conditions(3, 1), block(3, 1)
    rows = torch.cat([rows_of(0), rows_of(of.offsets[1] + 11), rows_of(of.offsets[2] - 6)])
    told = own.of(rows, CPU)
    assert told.first_frames.tolist() == [0, 11, 25]
    lengths = [len(texts(of)[name]) for name in ("u0", "u1", "u1")]
    assert told.is_seen[:, : max(lengths)].sum(1).tolist() == lengths
    assert torch.equal(told.symbols[1], told.symbols[2])
    assert told.symbols[0, :3].tolist() == symbols_of("u0", "ab ", SECTION)


def test_a_prompt_is_the_start_of_another_utterance_of_the_speaker():
    """All others may be drawn, its own never; without draws it is always the same."""
    num, of = 8, block(8, 2)
    own = conditions(num, 2)
    starts = {n: torch.from_numpy(of.frames[of.offsets[n] : of.offsets[n] + 5]) for n in range(num)}
    for number in range(num):
        rows, met = rows_of(of.offsets[number]), set()
        for draw in np.linspace(0, 0.9999, 20):
            told = own.of(rows, CPU, torch.tensor([draw]))
            met |= {n for n, start in starts.items() if torch.equal(told.prompt[0], start)}
        assert met == set(range(number % 2, num, 2)) - {number}
        following = (number + 4) % num
        assert torch.equal(own.of(rows, CPU).prompt[0], starts[following])


def test_a_lone_utterance_has_no_prompt():
    """Nor has one whose speaker's others are shorter than the prompt. Its text is told."""
    for own in (conditions(2, 2), conditions(2, 1, prompt_frames=64)):
        told = own.of(rows_of(0), CPU)
        count = told.prompt.shape[1]
        assert not told.is_seen[:, -count:].any() and told.is_seen[:, :3].all()
        assert not told.prompt.any()


def test_a_generator_with_a_condition_is_stored_whole():
    model = arm("SM", told_settings())
    again = unpack_generator("x", *pack_generator("x", model))
    x, told = frames(1, 9), text_alone(CONDITIONS, "u", "ab", NUM_DIMS)
    with torch.no_grad():
        assert torch.equal(model.features(x, None, told), again.features(x, None, told))


CONDITIONS = ConditionSection.model_validate(CONDITION)


def test_draws_are_told_the_text_and_where_they_are():
    """Another text gives other draws at every frame; so does another guidance or temperature."""
    model, x = arm("S", told_settings()), frames(1, 20)[0].numpy()

    def drawn(said: str | None, sampling: Sampling = PLAIN) -> np.ndarray:
        density = as_step_density(model, sampling)
        if said is not None:
            density.condition = text_alone(CONDITIONS, "u", said, NUM_DIMS)
        return continued_frames(density, x, 2, 1, 0).frames[2:]

    plain = drawn("ab a")
    others = [drawn("bb a"), drawn(None), drawn("ab a", Sampling(guidance=2.0)),
              drawn("ab a", Sampling(temperature=0.5))]  # fmt: skip
    for other in others:
        assert (plain != other).any(axis=1).all()
    np.testing.assert_array_equal(plain, drawn("ab a", Sampling(1.0, 1.0)))


def study(**changes: Any) -> dict[str, Any]:
    config = studies.study("real_speech", "generation", "generation_states")
    config["generation"]["factorized"]["states"] = []
    config["prediction"]["representations"] = ["mel_pca"]
    for place, value in changes.items():
        config = studies.changed(config, place.replace("__", "."), value)
    return config


def told_study(condition: Any = CONDITION) -> dict[str, Any]:
    config = study()
    for row in config["generation"]["library"].values():
        row["model"] = {**row["model"], "condition": condition}
    return config


REFUSED = [
    (
        "generation.ladder",
        {"work_factors": [2.0], "num_samples": 4},
        "generation.ladder: tells no",
    ),
    ("generation.probes.names", ["flip"], "generation.probes.names: tells no text"),
    ("generation.audio.guidance", 11.0, "generation.audio.guidance"),
    ("generation.audio.temperature", 0.0, "generation.audio.temperature"),
]


@pytest.mark.parametrize(("place", "value", "message"), REFUSED)
def test_what_tells_no_condition_is_refused_beside_one(place: str, value: Any, message: str):
    with pytest.raises(InputError) as error:
        parse_config(studies.changed(told_study(), place, value))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_worlds_tell_no_text_and_every_key_that_tells_nothing_is_named():
    """Worlds have speakers, so a prompt alone is told there."""
    asked = {"generation.ladder": {"work_factors": [2.0], "num_samples": 4},
             "generation.probes.names": ["flip"]}  # fmt: skip
    config = told_study()
    for place, value in asked.items():
        config = studies.changed(config, place, value)
    with pytest.raises(
        InputError, match=r"generation\.ladder, generation\.probes\.names: tells no"
    ):
        parse_config(config)
    for condition in (CONDITION, {**CONDITION, "text": None}):
        config = studies.changed(told_study(condition), "generation.worlds", ["table"])
        config["calibration"]["worlds"]["names"] = ["iid", "table"]
        if condition["text"] is None:
            parse_config(config)
            continue
        with pytest.raises(InputError, match=r"generation\.worlds: has no transcripts"):
            parse_config(config)


def test_draws_are_guided_where_a_text_is_known_and_no_path_is_heard():
    """Each refusal names the key; with a text the same study is read."""
    guided = {"representations": ["mel_pca"], "guidance": 2.0}
    for config in (told_study(), study(), told_study({**CONDITION, "text": None})):
        audio = {**config["generation"]["audio"], **guided}
        config = studies.changed(config, "generation.audio", audio)
        model = config["generation"]["library"]["one_frame"]["model"]
        if (model.get("condition") or {}).get("text"):
            parse_config(config)
            continue
        with pytest.raises(InputError, match=r"audio\.guidance: arm S has no model"):
            parse_config(config)
    config = studies.study("real_speech", "generation", "generation_states")
    config["prediction"]["representations"] = ["mel_pca", "mel_pca_state"]
    config["generation"]["audio"] |= {"representations": ["mel_pca"], "temperature": 0.8}
    with pytest.raises(InputError, match=r"audio\.temperature: arms of"):
        parse_config(config)


@pytest.mark.parametrize(
    ("condition", "message"),
    [({**CONDITION, "text": None, "prompt_frames": None}, "neither text nor prompt_frames"),
     ({**CONDITION, "drop_share": 0.0}, "drop_share"),
     ({**CONDITION, "text": {**TEXT, "alphabet": "aba"}}, "stands there twice"),
     ({**CONDITION, "text": {**TEXT, "alphabet": "a"}}, "alphabet")],
)  # fmt: skip
def test_a_condition_that_tells_nothing_is_refused(condition: Any, message: str):
    with pytest.raises(InputError, match=message):
        parse_config(told_study(condition))


def test_transcripts_are_read_where_a_text_is_told():
    """No other training waits for the table of the corpus."""
    for condition, is_read in ((CONDITION, True), ({**CONDITION, "text": None}, False),
                               (None, False)):  # fmt: skip
        plan = Plan(parse_config(told_study(condition)))
        [run, *_] = plan.generation.runs()
        assert bool(plan.generation.transcripts(run)) is is_read
    assert settings().condition is None
