"""Which word is right for a world and which keys: fixed before any run."""

from engram_audio.calibration.answers import ANSWERS, WRONG_KEY, expected_word
from engram_audio.calibration.names import WORLD_NAMES
from engram_audio.calibration.registry import WORLDS, make_world
from engram_audio.trust.known import evidence_of_worlds

CONTEXT_KEYS = tuple(
    f"{name}.kmeans_256"
    for name in ("pca.raw", "pca.increments", "last_frame.raw", "predictive.raw")
)


def words(*keys: str, has_laws: bool = False) -> dict[str, set[str]]:
    """Worlds by the word that is right for these keys."""
    found: dict[str, set[str]] = {}
    for name in ANSWERS:
        found.setdefault(expected_word(name, keys, has_laws), set()).add(name)
    return found


def test_every_world_has_one_answer():
    """A4: the words that were fixed before any run, with the keys of the base study."""
    assert set(ANSWERS) == set(WORLD_NAMES)
    found = words(*CONTEXT_KEYS)
    assert found["WRONG KEY (mean only)"] == {
        "bimodal", "mag", "stochvol", "ar_speakers", "pulses", "overlap_symbols", "ring",
    }  # fmt: skip
    assert found["UNDECIDED"] == {"partly_shared", "ar_speakers_signs"}
    assert found["INVALID"] == {"unequal_half", "iid_d512", "junk"}
    assert {"seasonal", "sines", "spiky_var", "var1", "type1", "silence"} <= found["STOP"]
    assert {"type2", "drift", "dir", "offset", "logistic", "table"} <= found["PROCEED"]


def test_laws_tell_a_spread_from_a_wrong_key():
    """What no mean carries: some key's law does, or the key is wrong."""
    every = words(*CONTEXT_KEYS, has_laws=True)
    assert every["LAW, NOT MEAN"] == {"bimodal", "mag", "stochvol", "ar_speakers", "pulses"}
    assert every["WRONG KEY"] == {"overlap_symbols", "ring"}
    assert "WRONG KEY (mean only)" not in every
    raw = words("pca.raw.kmeans_256", has_laws=True)
    assert {"bimodal", "mag", "drift"} <= raw["WRONG KEY"]
    assert "drift" in words("pca.raw.kmeans_64", "learned.raw.laws_64", has_laws=True)["PROCEED"]


def test_keys_that_cannot_see_it_are_the_wrong_keys():
    """With `pca.raw` alone a walk's increments, offsets and chaos in a window stay unseen."""
    raw = words("pca.raw.kmeans_256")["WRONG KEY (mean only)"]
    context = words("pca.increments.kmeans_256", "predictive.raw.kmeans_256")
    assert raw - context["WRONG KEY (mean only)"] == {
        "offset", "drift", "dir", "logistic", "logistic_rotated", "ar_speakers_signs",
    }  # fmt: skip
    assert "drift" in words("pca.raw.kmeans_64", "pca.speaker_centred.kmeans_64")[WRONG_KEY]


def test_a_table_of_many_symbols_asks_for_many_cells():
    """64 cells of the last frame still tell one of 1,024 symbols enough, two of them not."""
    for keys, proceed in (
        (("pca.raw.kmeans_64",), set()),
        (("last_frame.raw.kmeans_64",), {"table"}),
        (("pca.raw.kmeans_256",), {"table"}),
        (("last_frame.raw.kmeans_256",), {"table", "table_second_order"}),
    ):
        found = words(*keys)["PROCEED"] & {"table", "table_second_order"}
        assert found == proceed, keys


def test_only_a_known_gain_of_nothing_stops():
    """STOP stands where the gain is 0, everywhere or in one slice; elsewhere it is large."""
    for name, answer in ANSWERS.items():
        evidence = evidence_of_worlds([name], ("all", "speech", "medial")).heads[f"world_{name}"]
        gains = {place: gain.gain.value for place, gain in evidence.items()}
        if answer.word != "INVALID":
            assert (answer.word == "STOP") == (min(gains.values()) == 0), name
        assert all(value == 0 or value >= 0.1 for value in gains.values()), name


def test_gains_are_laws_unless_stated():
    """Where a gain is a law's, the world has a law that knows no speaker's own parameters."""
    stated = {name for name, answer in ANSWERS.items() if answer.gain == "stated"}
    assert stated == {
        "type1", "near_copies", "offset", "silence", "boundary", "silent_motifs", "table",
        "table_second_order",
    }  # fmt: skip
    assert all(make_world(name, 0).shared_oracle() for name in set(WORLDS) - stated)


def test_a_worlds_linear_mean_leaves_nothing_to_add():
    """A world of a linear mean is answered STOP or WRONG KEY, or has too few frames."""
    for name, answer in ANSWERS.items():
        if make_world(name, 0).is_mean_linear:
            assert answer.word in ("STOP", "WRONG KEY (mean only)", "INVALID"), name
