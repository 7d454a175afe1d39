"""The lines of the first screen beside the answers: data, speakers, lag, caveats, what follows."""

import shlex

import pandas as pd
import pytest

from engram_audio.report.data import ReportData
from engram_audio.report.first_screen import (
    caveat_words,
    lag_words,
    measured_on,
    scored_words,
)
from engram_audio.report.next_command import next_command
from engram_audio.report.sections import verdict
from engram_audio.structure.verdicts import GATES
from engram_audio.verdicts.advice import ADVICE
from engram_audio.verdicts.chain import verdict_table
from engram_audio.verdicts.judge import MET, NOT_MET, Judged
from engram_audio.verdicts.row import VerdictRow, shown
from engram_audio.verdicts.words import STOP, WRONG_KEY_MEAN
from tests.report_tables import report_data

NAME = "mel_pca"
LAG = int(report_data().registered["lag_frames"])


@pytest.fixture(scope="module")
def data() -> ReportData:
    return report_data()


def with_table(data: ReportData, name: str, table: pd.DataFrame) -> ReportData:
    return data._replace(tables={**data.tables, name: table})


def corpus(num_select: int = 4) -> pd.DataFrame:
    """45,000 frames at 12.5 a second are an hour. Parts of a split are not all of the data."""
    parts = {"train": 13, "val": 13, "select": num_select, "eval": 7}
    rows = [{"corpus": "mine", "split": "all", "num_speakers": 24}]
    rows += [
        {"corpus": "mine", "split": part, "num_speakers": count, "split_seed": 0}
        for part, count in parts.items()
    ]
    of = {"corpus": "mine", "split": "all", "num_speakers": 12, "num_dims": 32,
          "frame_rate_hz": 12.5}  # fmt: skip
    rows += [{**of, "representation": NAME, "num_frames": 45_000},
             {**of, "representation": "b", "num_frames": 8}]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_data_of_the_answers_stand_above_them(data: ReportData):
    own = with_table(data, "corpus", corpus())
    assert measured_on(own, NAME) == (
        f"Measured on {NAME}: 12 speakers, 60 minutes of mine, 32 numbers per frame, "
        "12.5 frames per second."
    )
    assert measured_on(own, "unknown") == ""


def test_voices_that_nobody_spoke_are_said_to_be_synthetic(data: ReportData):
    own = with_table(data, "corpus", corpus())
    for kind, is_synthetic in (("demo_speech", True), ("directory", False)):
        one = own._replace(sections={**own.sections, "corpora.mine": {"kind": kind}})
        assert ("synthetic voices" in measured_on(one, NAME)) == is_synthetic


@pytest.mark.parametrize(("num_select", "words"), [(4, "4 choose"), (0, "none only choose")])
def test_who_is_scored_and_how_often(data: ReportData, num_select: int, words: str):
    own = with_table(data, "corpus", corpus(num_select))
    text = scored_words(with_table(own, "prediction", heads(3)), NAME)
    assert f"13 are fitted, {words}, and 7 are scored." in text
    assert "Split seeds: 1." in text and "Training seeds of the deciding head: 3." in text
    for table in (heads(3).iloc[:0], heads(3).assign(lag_frames=LAG + 1)):
        assert "Training seeds" not in scored_words(with_table(own, "prediction", table), NAME)
    assert scored_words(own, "unknown") == ""


def heads(num_seeds: int, model: str = "mine", nll: float = 1.0) -> pd.DataFrame:
    """One head at the registered lag, where it is chosen and where it is scored."""
    return pd.DataFrame({
        "representation": NAME, "kind": "head", "model": model, "slice": "all", "seed": 0,
        "part": ["select", "eval"], "lag_frames": LAG, "target": "delta", "nll_mean": nll,
        "num_seeds": num_seeds,
    })  # fmt: skip


def test_seeds_are_those_of_the_rows_that_decide(data: ReportData):
    """Neither another representation's splits nor a head that was not chosen count."""
    seeds = pd.DataFrame({"representation": [NAME, "b", "b"], "split_seed": [0, 0, 1]})
    worse = heads(5, "worse", 2.0)
    own = with_table(with_table(data, "corpus", corpus()), "structure", seeds)
    text = scored_words(with_table(own, "prediction", pd.concat([heads(1), worse])), NAME)
    assert "Split seeds: 1." in text and "Training seeds of the deciding head: 1." in text


def at_lag(data: ReportData, lag: int) -> ReportData:
    rows = pd.DataFrame({
        "change": ["nothing", "lag", "lag"], "value": ["", "1", "4"],
        "verdict": ["STOP", "PROCEED", "INVALID"],
    })  # fmt: skip
    section = {**data.sections["decision"], "lag_frames": lag}
    own = with_table(data, "what_would_change", rows)
    return own._replace(sections={**data.sections, "decision": section})


@pytest.mark.parametrize(
    ("lag", "hidden"),
    [(2, "hides frame t\N{MINUS SIGN}1 from"), (4, "\N{MINUS SIGN}1 to t\N{MINUS SIGN}3")],
)
def test_a_lag_says_what_it_hides_and_what_lag_1_reads(data: ReportData, lag: int, hidden: str):
    text = lag_words(at_lag(data, lag))
    assert hidden in text and "question 1 reads PROCEED." in text


def test_lag_1_hides_nothing_and_no_other_lag_is_compared_with_it(data: ReportData):
    assert "PROCEED" not in lag_words(at_lag(data, 1))
    assert "hides no frame" in lag_words(at_lag(data, 1))


def source_row(name: str, judged: Judged, subject: str = NAME) -> VerdictRow:
    case = f"{name} · key · lag 2"
    return VerdictRow("structure", GATES["operative"], subject, case, judged, f"{name} words.")


def test_what_was_not_shown_of_a_frame_is_a_caveat(data: ReportData):
    rows = [
        source_row("causality", shown()), source_row("overlap", Judged(NOT_MET, "")),
        source_row("overlap", shown(), "other"), source_row("near_copies", shown()),
    ]  # fmt: skip
    own = with_table(data, "verdicts", verdict_table(rows))
    assert caveat_words(own, NAME) == "causality words. overlap words."
    met = [source_row(name, Judged(MET, "")) for name in ("causality", "overlap")]
    assert caveat_words(with_table(data, "verdicts", verdict_table(met)), NAME) == ""


def of_arrays(data: ReportData, **values: object) -> ReportData:
    section = {"kind": "arrays", "path": "my folder", "table": "a.csv", "frame_rate_hz": 12.5}
    decision = {**data.sections["decision"], "representation": "arrays"}
    sections = {**data.sections, "decision": decision}
    return data._replace(sections={**sections, "representations.library.arrays": section | values})


def test_the_next_command_holds_all_that_make_needs(data: ReportData):
    command = next_command(of_arrays(data), WRONG_KEY_MEAN)
    assert shlex.split(command) == [
        "make", "arrays", "FOLDER=my folder", "TABLE=a.csv", "RATE=12.5", "ASK=keys"
    ]  # fmt: skip
    rate = 22050 / 256  # frames of 256 samples
    command = next_command(of_arrays(data, frame_rate_hz=rate), WRONG_KEY_MEAN)
    assert float(command.partition("RATE=")[2].split()[0]) == rate
    assert next_command(of_arrays(data), STOP) == ""
    assert next_command(of_arrays(data, kind="codec"), WRONG_KEY_MEAN) == ""
    assert next_command(data, WRONG_KEY_MEAN) == ""


def test_the_page_holds_the_advice_of_its_word(data: ReportData):
    built = verdict.build(data)
    assert built["advice"] in ADVICE and built["advice"].word == built["word"]
