"""What `make audio` installs, in a scratch environment: weights by digest, speech understood."""

import json
import os
import re
import site
import subprocess
import tomllib
import venv

import pytest

from engram_audio.audio_scores.pins import PINS
from engram_audio.provenance import ROOT

PROGRAM = """
import json, sys, wave
import numpy as np
from transformers import MimiModel  # torchaudio would break this import
from engram_audio.audio_scores.hearing import hear, scores_of
from engram_audio.audio_scores.installed import installed_evaluators
from engram_audio.codecs.waveform import resample
from engram_audio.steps._evaluators import absent_evaluators, load_evaluators
import moonshine_voice.utils
with wave.open(str(moonshine_voice.utils.get_assets_path()) + "/two_cities.wav") as handle:
    rate = handle.getframerate()
    frames = np.frombuffer(handle.readframes(16 * rate), np.int16)
speech = resample((frames / 32768).astype(np.float32), rate, 16000)
clips = [speech[:128000], speech[128000:256000]]
evaluators = load_evaluators()
first = [hear(clip, evaluators) for clip in clips]
again = [hear(clip, evaluators) for clip in clips[::-1]][::-1]
noisy = hear(clips[0] + 0.3 * np.random.default_rng(0).standard_normal(128000), evaluators)
normalize = evaluators.normalize
print(json.dumps({
    "absent": absent_evaluators(evaluators),
    "texts": [[one.text for one in heard] for heard in (first, again)],
    "same": scores_of(first[0], first[0], first[0].text, 0.0, normalize),
    "other": scores_of(first[1], first[0], None, 0.0, normalize),
    "noisy": scores_of(noisy, first[0], first[0].text, 0.0, normalize),
    "versions": installed_evaluators(),
}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Install as `make audio` does, beside the packages that are here, and hear two clips."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    packages = next((folder / "lib").glob("python*/site-packages"))
    (packages / "beside.pth").write_text("\n".join(site.getsitepackages()))
    python = folder / "bin" / "python"
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]["audio"]
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    wheels = ["--no-deps", "--require-hashes", "--requirement", str(ROOT / "envs/audio.txt")]
    for words in (wheels, extra):
        done = subprocess.run([*pip, *words], capture_output=True, text=True, check=False)
        if "No matching distribution" in done.stderr or "Could not find" in done.stderr:
            pytest.skip(f"no index, or no wheel for this machine: {done.stderr.splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [str(python), "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_everything_is_installed_and_transformers_still_works(found: dict):
    assert found["absent"] == []
    assert all(found["versions"].values())


@pytest.mark.slow
def test_what_is_heard_does_not_depend_on_what_was_heard_before(found: dict):
    first, again = found["texts"]
    assert first == again
    assert "best of times" in first[0].lower()


@pytest.mark.slow
def test_scores_order_speech_as_ears_do(found: dict):
    """The same clip is perfect, another clip of the speaker is alike, noise costs words."""
    same, other, noisy = (found[name] for name in ("same", "other", "noisy"))
    assert same["wer"][0] == 0 and same["speaker_cosine"][0] == pytest.approx(1.0)
    assert 0.8 < other["speaker_cosine"][0] < 1.0  # .93 for one speaker, .63 for two
    assert other["consistency"][0] > 0
    assert noisy["wer"][0] > 0
    assert noisy["quality_overall"][0] < same["quality_overall"][0]


def test_wheels_are_pinned_by_hash_and_name_every_package_whose_weights_are_read():
    """`pip --require-hashes` refuses others; a package that is pinned nowhere is never read."""
    lines = [
        line
        for line in (ROOT / "envs/audio.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    pattern = re.compile(r"([A-Za-z0-9_.-]+)==\S+ --hash=sha256:[0-9a-f]{64}")
    names = [match.group(1) for line in lines if (match := pattern.fullmatch(line))]
    assert len(names) == len(lines)
    packages = {pin.package for pins in PINS.values() for pin in pins}
    assert {name.lower().replace("-", "_") for name in names} == packages
    assert all(re.fullmatch(r"[0-9a-f]{64}", pin.sha256) for pins in PINS.values() for pin in pins)
