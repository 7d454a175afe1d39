"""From nats by key to a word: small key, learned key only, not compressible, none, undecided."""

import numpy as np
import pandas as pd
import pytest

from engram_audio.keys.verdicts import verdict_rows
from engram_audio.structure.decision import decide_all
from engram_audio.structure.evidence import Evidence, LawGain, Source, law_row
from engram_audio.structure.gate_row import Measured
from engram_audio.structure.gates import Place
from engram_audio.structure.laws import law_gains
from engram_audio.structure.word import word_of
from engram_audio.verdicts.words import (
    LAW_NOT_MEAN,
    LEARNED_KEY_ONLY,
    NO_STRUCTURE,
    NOT_COMPRESSIBLE,
    SMALL_KEY,
    STOP,
    UNDECIDED,
    WRONG_KEY,
    WRONG_KEY_MEAN,
)
from tests.report_law_tables import (
    BASE,
    LEARNED,
    NATS,
    PLAIN,
    law_run,
    published,
    surrogate,
)
from tests.unit.gate_tables import KEY, LINEAR, NAME, NOTHING_ADDED, SECTION, gains, rows


def word(table: pd.DataFrame, delta: float = 0.02) -> str:
    """The word of the first answer."""
    return verdict_rows(table, BASE, delta, 0.2)[0].sentence.partition(":")[0]


def with_changes(**nats: float) -> dict[str, float]:
    return {**NATS, **{key.replace("__", "."): value for key, value in nats.items()}}


def test_a_learned_key_alone_keeps_it():
    """1.4 of 2.0 nats in 64 learned codes, .6 in 64 of k-means: less than half."""
    assert word(published()) == LEARNED_KEY_ONLY
    assert {row.unit for row in verdict_rows(published(), BASE, 0.02, 0.2)} == {"nats/frame"}


def test_a_small_key_keeps_it():
    """K-means keeps 1.2: the structure is in a small key, learned or not."""
    nats = {**NATS, PLAIN: 1.2}
    assert word(published(law_run(nats), surrogate(nats))) == SMALL_KEY
    nats = {**NATS, PLAIN: 1.5}
    assert word(published(law_run(nats), surrogate(nats))) == SMALL_KEY


def test_no_key_keeps_half():
    """The predictor tells 4 nats, and the best key 1.4."""
    nats = {**NATS, "predictor": 4.0}
    assert word(published(law_run(nats), surrogate(nats))) == NOT_COMPRESSIBLE


def test_a_linear_process_is_no_structure():
    """The twin tells as much, so the whole interval of what is left lies below delta."""
    small = {key: mean / 100 for key, mean in NATS.items()}
    table = published(law_run(small, spread=1e-4), law_run(small, f"{BASE}--var", spread=1e-4))
    assert word(table) == NO_STRUCTURE


def test_half_the_nats_between_are_open():
    """About half of the predictor's nats: neither surely kept nor surely lost."""
    nats = {**NATS, LEARNED: 1.0, "learned.raw.laws_16": 0.9}
    assert word(published(law_run(nats, spread=0.1), surrogate(nats))) == UNDECIDED


def test_what_does_not_transfer_is_open():
    """Val tells 1.4 times as much: a transfer loss of .29."""
    table = published(law_run(val_excess=0.4), surrogate())
    (row,) = (one for one in verdict_rows(table, BASE, 0.02, 0.2) if "predictor" not in one.case
              and one.subject == BASE and one.measured.low < one.measured.high)  # fmt: skip
    assert word(table) == UNDECIDED
    assert "transfer loss" in row.reason


def test_without_a_twin_only_the_linear_base_can_answer():
    """Alone, what a linear process tells is unknown; beside the linear base it is nothing."""
    assert word(published(law_run())) == UNDECIDED
    assert word(published(law_run(base="linear"))) == LEARNED_KEY_ONLY


def test_the_key_is_chosen_before_eval():
    """A key that shines on eval and not on select is not the one that is tested."""
    run = law_run()
    lucky = run.scores["key"].eq(PLAIN) & run.scores["part"].eq("eval")
    run.scores.loc[lucky, "nats"] = 1.9 * 500
    (answer,) = (row for row in verdict_rows(published(run, surrogate()), BASE, 0.02, 0.2)
                 if "keeps" in row.sentence)  # fmt: skip
    assert LEARNED in answer.sentence


def test_a_permuted_key_that_tells_is_named():
    """A mark of trust: codes of other frames must tell nothing."""
    nats = {**NATS, "permuted.64": 0.1}
    rows = verdict_rows(published(law_run(nats), surrogate()), BASE, 0.02, 0.2)
    (row,) = (row for row in rows if "permuted.64" in row.case)
    assert row.outcome == "not met"


def test_nats_are_those_of_speakers():
    """Means, transfer loss, shares and the paired bound, by hand."""
    run = law_run(val_excess=0.25)
    table = published(run, surrogate()).set_index("key")
    own = run.scores.query("key == @LEARNED and part == 'eval'")["nats"] / 500
    top = run.scores.query("key == 'predictor' and part == 'eval'")["nats"] / 500
    row = table.loc[LEARNED]
    assert row["nats"] == pytest.approx(own.mean())
    assert row["share_of_predictor"] == pytest.approx(own.mean() / top.mean())
    val = run.scores.query("key == @LEARNED and part == 'val'")["nats"].mean() / 500
    assert row["transfer_loss"] == pytest.approx(1 - own.mean() / val)
    kept = own.to_numpy() - 0.5 * top.to_numpy()
    assert row["kept_nats"] == pytest.approx(kept.mean())
    half = (row["kept_nats_high"] - row["kept_nats_low"]) / 2
    assert half == pytest.approx(2.262 * kept.std(ddof=0) / 3 * 10 / 9, rel=0.25)
    assert row["ln_num_codes"] == pytest.approx(np.log(64))


PLACE = Place(BASE, 0, "", 2, "all", {})


def heads(value: float):
    """A row of the heads' gain that passes."""
    from engram_audio.structure.evidence import HeadsGain, heads_row

    gain = HeadsGain(Measured(value, value - 0.1, value + 0.1))
    return heads_row(PLACE, gain, 0.02, 0.95, 1)


def law(low: float, high: float, highest: float | None = None):
    """A row of what a key's law tells."""
    middle = (low + high) / 2
    gain = LawGain("a.raw.b_4", "select", Measured(middle, low, high), highest or high, 3)
    return law_row(PLACE, gain, 0.02)


@pytest.mark.parametrize(
    ("laws", "expected"),
    [
        ({}, WRONG_KEY_MEAN),
        ({"all": law(0.1, 0.3)}, LAW_NOT_MEAN),
        ({"all": law(-0.01, 0.01)}, WRONG_KEY),
        ({"all": law(-0.01, 0.01, highest=0.1)}, UNDECIDED),
        ({"all": law(0.01, 0.1)}, UNDECIDED),
    ],
)
def test_the_law_tells_a_wrong_key_from_a_mean_of_nothing(laws, expected):
    """Heads gain and no mean adds: the law of some key, of none, or not looked at."""
    assert word_of([], {"all": heads(0.5)}, True, laws=laws).word == expected


def test_a_law_says_nothing_of_a_mean_that_was_not_asked():
    """A regime tells where the next frame lies, and its mean was never scored by the gate."""
    laws = {"all": law(0.1, 0.3)}
    judged = word_of([], {"all": heads(0.5)}, True, laws=laws, unasked="learned.raw.laws_64")
    assert judged.word == UNDECIDED
    assert "learned.raw.laws_64" in judged.open and "learned.raw.laws_64" in judged.cause
    failing = {"all": law(-0.01, 0.01)}
    other = word_of([], {"all": heads(0.5)}, True, laws=failing, unasked="learned.raw.laws_64")
    assert other.word == WRONG_KEY


@pytest.mark.parametrize(("key", "word"), [(KEY, LAW_NOT_MEAN), ("b.raw.c_4", UNDECIDED)])
def test_the_gate_knows_whose_mean_was_scored(key: str, word: str):
    """The law of the key that adds nothing, or of one that the gate has no row of."""
    told = LawGain(key, "select", Measured(0.2, 0.1, 0.3), 0.3, 2)
    evidence = Evidence({NAME: gains(0.3)}, {NAME: Source()}, {NAME: {"all": told, "medial": told}})
    table = pd.DataFrame(rows(**NOTHING_ADDED))
    assert decide_all(table, LINEAR, SECTION, 0.95, evidence)[NAME].verdict == word


def test_a_stop_stays_a_stop_whatever_laws_tell():
    """Where heads gain nothing there is nothing beyond linear, and no law is asked."""
    assert word_of([], {"all": heads(-0.5)}, True, laws={"all": law(0.1, 0.3)}).word == STOP


def test_the_gate_reads_the_chosen_key_beside_the_linear_base():
    """Delta, the registered lag, linear; of keys alone; chosen on select."""
    table = published(law_run(), surrogate(), law_run(base="linear"))
    gains = law_gains(table, 2)
    assert set(gains) == {BASE}
    own = gains[BASE]["all"]
    assert own.key == LEARNED
    assert own.num_keys == 4
    assert own.gain.value == pytest.approx(1.4, abs=0.03)
    assert law_gains(table, 1) == {}
