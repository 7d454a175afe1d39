"""A setting's bound holds before the setting is used: whatever is large is refused at once."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.quantities import distinct
from engram_audio.section import require_power_below
from tests import studies

ROOT = Path(__file__).resolve().parents[2]
CONFIG = studies.study()
CPU_S = 60  # for all; one that computes before it looks takes hours


def nested(depth: int) -> Any:
    inner: Any = 1
    for _ in range(depth):
        inner = [inner]
    return inner


def aliased(width: int, levels: int) -> Any:
    inner: Any = [1] * width
    for _ in range(levels):
        inner = [inner] * width
    return inner


WORLD = {"kind": "world", "world": "iid", "num_train_speakers": 4, "num_eval_speakers": 4}
BILLION = 10**9
# Where, what, and how the one line begins: with the key.
CASES: list[tuple[str, Any, str]] = [
    # powers
    ("keys.library.pca.num_components", 60_000,
     "keys.library.pca: quantile_bins_4: cells, num_bins ** features: 4 ** 60000"),
    ("keys.library.pca.num_components", 16,
     "keys.library.pca: quantile_bins_4: cells, num_bins ** features: 4 ** 16"),
    ("keys.library.predictive", {**CONFIG["keys"]["library"]["pca"], "kind": "predictive",
     "num_components": 2**62}, "keys.library.predictive.num_components: should be"),
    ("keys.library.pca.quantizers.1.num_bins", 2**60,
     "keys.library.pca.quantizers.1.num_b"),
    ("memory.library.robust.ngram_orders", [BILLION - 1],
     "memory.library.robust.ngram_orders.0: should be"),
    ("memory.library.engram.ngram_orders", [2, BILLION - 1],
     "memory.library.engram.ngram_orders.1: should be"),
    ("keys.library.pca.quantizers.3.num_bits", BILLION,
     "keys.library.pca.quantizers.3.num_bits: should be"),
    ("keys.library.pca.quantizers.2.num_groups", BILLION,
     "keys.library.pca.quantizers.2.num_groups:"),
    ("keys.library.pca.quantizers.2.num_codes", BILLION,
     "keys.library.pca.quantizers.2.num_codes:"),
    # loops over a number
    ("structure.ngram_orders", [1, BILLION], "structure.ngram_orders.1: should be less"),
    ("corpora.librispeech.num_shards", BILLION, "corpora.librispeech.num_shards: should be less"),
    ("views.window_frames", BILLION, "views.window_frames: should be less than"),
    ("structure.library.target_oracle.codebook_sizes", [2**40],
     "structure.library.target_oracle.codeb"),
    ("calibration.worlds.num_train_speakers", BILLION, "calibration.worlds.num_train_speakers: s"),
    ("calibration.sabotage.num_utterances_per_speaker", BILLION, "calibration.sabotage.num_utter"),
    ("representations.library.planted", {**WORLD, "num_utterances_per_speaker": BILLION, "seed": 0},
     "representations.library.planted.num_utterances_per_speaker: should be less"),
    ("codecs.library.vae.strides", [2] * 900,
     "codecs.library.vae.strides: the list should have at most 16 items"),
    ("codecs.library.vae.strides", [BILLION], "codecs.library.vae.strides.0: should be less"),
    ("codecs.library.vae.crop_s", 1e308, "codecs.library.vae.crop_s: should be less"),
    ("codecs.library.mel_vae.crop_s", 1e308, "codecs.library.mel_vae.crop_s: should be less"),
    ("codecs.library.mel_pca.hop_s", 1e308, "codecs.library.mel_pca.hop_s: should be less"),
    ("codecs.library.mel_pca.sample_rate_hz", 2**62,
     "codecs.library.mel_pca.sample_rate_hz: should be less"),
    # products of lists
    ("rollout.grids.grid", {"method": "earlier_pure", "bases": [], "state_weights": [0.0],
     "horizons_frames": list(range(2, 1000)), "teacher_weights": [n / 7 for n in range(1000)]},
     "rollout.grids.grid: horizons_frames, teacher_weights, state_weights, bases: 998 x 1000"),
    ("factorizer.grids.grid.target_nats", [n / 7 for n in range(1, 999)],
     "factorizer.grids.grid: "),
    # lists that are compared with lists
    ("splits.seeds", list(range(20_000)), "splits.seeds: has 20000 entries, at most 1000"),
    ("structure.lags_frames", list(range(1, 90_000)), "structure.lags_frames: has 89999 entries"),
    ("codecs.ladders", {"x": {"codec": "vae", "betas": [1.0] * 1001}},
     "codecs.ladders.x.betas: has"),
    ("memory.library", {f"m{n}": 1 for n in range(1001)}, "memory.library: has 1001 entries"),
    ("splits.seeds", ["x"] * 1000, "splits.seeds.0: should be a(n) integer"),
    # what cannot be written out
    ("splits.seeds.0", 10**10_000, "splits.seeds.0: has a number of 33220 bits, at most 63 bits"),
    ("codecs.library.mel_pca.sample_rate_hz", -(10**400),
     "codecs.library.mel_pca.sample_rate_hz: has a number"),
    ("decision.representation", "m" * 5_000_000, "decision.representation: has 5000000 characters"),
    ("corpora", {"m" * 5_000_000: 1}, "corpora.mmm"),
    ("splits.seeds", nested(100_000), "configuration: more than 100000 values or 50 levels"),
    ("splits.seeds", aliased(10, 12), "configuration: more than 100000 values or 50 levels"),
    ("splits.seeds", aliased(1000, 3), "configuration: more than 100000 values or 50 levels"),
]  # fmt: skip


def answer(place: str, value: Any) -> str:
    try:
        parse_config(studies.changed(CONFIG, place, value))
    except InputError as error:
        return str(error)
    return "accepted"


def say_answers() -> None:
    """Print a line of JSON for each case, as soon as it is known."""
    for place, value, _ in CASES:
        print(json.dumps(answer(place, value)), flush=True)


def test_what_is_large_is_refused_before_it_is_used():
    """One line that begins with the key; the work is bounded by the processor's time for all."""
    code = (
        "import resource, tests.unit.test_config_bounds as cases\n"
        f"resource.setrlimit(resource.RLIMIT_CPU, ({CPU_S}, {CPU_S}))\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({8 << 30}, {8 << 30}))\n"
        "cases.say_answers()"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    for (place, _, begin), text in zip(CASES, answers, strict=False):
        assert text.startswith(begin), f"{place}: {text[:200]}"
        assert len(text) < 8000 and "Traceback" not in text
    assert len(answers) == len(CASES), f"{CASES[len(answers)][0]}: no answer {run.stderr[-300:]}"


def test_many_mistakes_are_counted():
    """Fifty lines, and how many more: nothing is left out silently."""
    *lines, last = answer("splits.seeds", ["x"] * 1000).splitlines()
    assert len(lines) == 50 and last == "configuration: 950 more mistakes; mend these first"


@pytest.mark.parametrize(("base", "exponent"), [(2, 31), (4, 16), (3, 20), (2, 10**9), (2**31, 1)])
def test_a_power_of_the_limit_or_more_is_refused(base: int, exponent: int):
    with pytest.raises(ValueError, match=r"x: .* must stay below 2147483648"):
        require_power_below(base, exponent, 2**31, "x")


@pytest.mark.parametrize(("base", "exponent"), [(2, 30), (4, 15), (3, 19), (2**31 - 1, 1), (7, 0)])
def test_a_power_below_the_limit_passes(base: int, exponent: int):
    require_power_below(base, exponent, 2**31, "x")


def test_the_first_repetition_is_named():
    assert distinct((3, 1, 2)) == (3, 1, 2)
    with pytest.raises(ValueError, match="1 stands there twice"):
        distinct((1, 2, 1, 2))
