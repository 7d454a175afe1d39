"""`make arrays` and `make speech`: a wrong first try is one line, and any folder's name will do."""

import subprocess

import pytest
from pydantic import ValidationError

from engram_audio.latents.config import ArraysRepresentation
from engram_audio.provenance import ROOT


def make(*words: str) -> tuple[int, str]:
    """Run a target; `echo` takes the place of the workflow, and nothing is installed."""
    command = ["make", "--silent", "--old-file=.venv/installed", "RUN=echo", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("rate", ["12,5", "nan", "12.5 Hz", "1.2.5", ".", "-3", "1e3"])
def test_a_rate_that_is_no_number_is_one_line(rate: str):
    code, text = make("arrays", "FOLDER=a", "TABLE=a.csv", f"RATE={rate}")
    first, *_ = text.splitlines()
    assert code != 0 and first == (
        f"RATE={rate} is no number of frames per second; write it as 12.5"
    )
    assert "snakemake" not in text


@pytest.mark.parametrize("rate", ["12.5", "50", "7.5"])
def test_other_rates_reach_the_workflow(rate: str):
    code, text = make("arrays", "FOLDER=a", "TABLE=a.csv", f"RATE={rate}")
    assert code == 0 and f'"frame_rate_hz": {rate}}}' in text


@pytest.mark.parametrize(("target", "name"), [("arrays", "arrays"), ("speech", "mel_pca")])
@pytest.mark.parametrize("words", [(), ("FOLDER=a", "TABLE=a.csv", "RATE=12.5")])
def test_keys_are_asked_of_the_same_data(target: str, name: str, words: tuple[str, ...]):
    """The representation is that of the study, with a folder and without."""
    code, text = make(target, *words, "ASK=keys")
    asked = f'learned_keys={{"representations": ["{name}"]}}'
    assert code == 0 and text.count("--config ") == 1 and text.rstrip().endswith(asked)
    assert "learned_keys" not in make(target, *words)[1]


@pytest.mark.parametrize("asked", ["all", "keys x", "x keys", "keyskeys"])
def test_an_unknown_question_is_one_line(asked: str):
    code, text = make("arrays", f"ASK={asked}")
    assert code != 0 and f"ASK={asked} is unknown: write ASK=keys" in text


def test_a_variable_of_the_shell_asks_nothing(monkeypatch: pytest.MonkeyPatch):
    silent = make("arrays")
    monkeypatch.setenv("ASK", "keys")
    assert make("arrays") == silent and silent[0] == 0
    assert "learned_keys" in make("arrays", "ASK=keys")[1]
    assert make("arrays", "ASK=") == silent


@pytest.mark.parametrize("name", ["nan", "12", "true", "null", "my data", "/srv/nan"])
def test_a_folder_may_be_called_like_a_number(name: str):
    shown = name if name.startswith("/") else f"./{name}"
    _, text = make("arrays", f"FOLDER={name}", f"TABLE={name}", "RATE=12.5")
    assert f"path={shown} table={shown} " in text
    _, text = make("speech", f"FOLDER={name}")
    assert f'"root": "{shown}"' in text


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.99, 1001.0, 12500.0, float("nan"), float("inf")])
def test_a_rate_that_no_frames_of_audio_have_is_refused(rate: float):
    """A frame outlasts a word below 1 Hz; above 1 kHz it is shorter than a period of a voice."""
    with pytest.raises(ValidationError, match="frame_rate_hz"):
        ArraysRepresentation.model_validate(row(rate), strict=False)


@pytest.mark.parametrize("rate", [1.0, 7.5, 12.5, 100.0, 1000.0])
def test_rates_of_codecs_and_features_pass(rate: float):
    assert ArraysRepresentation.model_validate(row(rate), strict=False).frame_rate_hz == rate


def row(rate: float) -> dict[str, object]:
    return {
        "kind": "arrays", "path": "a", "table": "a.csv", "frame_rate_hz": rate,
        "latent_space": "mine", "is_causal": True, "num_shards": 1, "surrogates": [],
        "compression": "none",
    }  # fmt: skip
