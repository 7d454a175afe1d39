"""Lines of the first screen beside the five answers: the data, who is scored, lag and caveats."""

from engram_audio.artifacts.columns import choose
from engram_audio.corpus.split_parts import EVAL, PARTS, SELECT, TRAIN
from engram_audio.report.data import ReportData
from engram_audio.report.prediction_rows import cells_of
from engram_audio.structure.verdicts import GATES
from engram_audio.verdicts import number
from engram_audio.verdicts.judge import MET
from engram_audio.verdicts.number import as_float

# Corpora that no person spoke.
SYNTHETIC = {"demo_speech": "synthetic voices of espeak-ng"}
CAVEATS = ("causality", "overlap")  # rows of the gate on what a frame sees


def measured_on(data: ReportData, name: str) -> str:
    """Return one line on the data that the answers are about; "" where no table tells."""
    table = data.table("corpus")
    if table.empty:
        return ""
    own = table.loc[(table["representation"] == name) & (table["split"] == "all")]
    if own.empty:
        return ""
    row = own.iloc[0]
    corpus = str(row["corpus"])
    minutes = as_float(row["num_frames"]) / as_float(row["frame_rate_hz"]) / 60
    kind = data.sections.get(f"corpora.{corpus}", {}).get("kind")
    synthetic = f" ({SYNTHETIC[kind]})" if kind in SYNTHETIC else ""
    return (
        f"Measured on {name}: {number.count(row['num_speakers'])} speakers, "
        f"{number.count(minutes)} minutes of {corpus}{synthetic}, "
        f"{number.count(row['num_dims'])} numbers per frame, "
        f"{number.plain(row['frame_rate_hz'])} frames per second."
    )


def scored_words(data: ReportData, name: str) -> str:
    """Return who is scored, how speakers are split, and the seeds; "" where no table tells."""
    found = split_parts(data, name)
    if not found:
        return ""
    num_choices = found.get(SELECT, 0)
    choices = f"{num_choices} choose" if num_choices else "none only choose"
    words = (
        f"Of the speakers {found.get(TRAIN, 0)} are fitted, {choices}, and {found.get(EVAL, 0)} "
        "are scored."
    )
    seeds = set(choose(data.table("structure"), representation=name)["split_seed"])
    words += f" Split seeds: {number.count(len(seeds))}."
    if data.table("prediction").empty:
        return words
    cells, lag = cells_of(data, name), int(data.registered["lag_frames"])
    head = cells.chosen_head(lag, "delta")
    if head is None:
        return words
    count = number.count(cells.row(head, lag, "delta")["num_seeds"])
    return f"{words} Training seeds of the deciding head: {count}."


def split_parts(data: ReportData, name: str) -> dict[str, int]:
    """Return speakers by part of the split that decides, of the corpus of a representation."""
    rows = data.table("corpus").to_dict("records")
    corpus = next((row["corpus"] for row in rows if row["representation"] == name), None)
    return {
        str(row["split"]): int(row["num_speakers"])
        for row in rows
        if row["corpus"] == corpus and row["split"] in PARTS
        and int(row["split_seed"]) == data.first_split(name)
    }  # fmt: skip


def lag_words(data: ReportData) -> str:
    """Return what the lag hides from a key, and what question 1 reads at lag 1."""
    lag = int(data.registered["lag_frames"])
    if lag == 1:
        return "Lag 1 hides no frame before the target."
    hidden = f"frames t\N{MINUS SIGN}1 to t\N{MINUS SIGN}{lag - 1}"
    hidden = "frame t\N{MINUS SIGN}1" if lag == 2 else hidden
    words = f"Lag {lag} hides {hidden} from keys and heads."
    table = data.table("what_would_change")
    rows = table.loc[table["change"].astype(str).eq("lag") & table["value"].astype(str).eq("1")]
    if rows.empty:
        return words
    return f"{words} At lag 1, which hides none, question 1 reads {rows.iloc[0]['verdict']}."


def caveat_words(data: ReportData, name: str) -> str:
    """Return what was not shown of causality and overlap: the gate's rows that are not met."""
    found = [
        row.sentence
        for row in data.verdicts("structure")
        if row.question == GATES["operative"] and row.subject == name
        and row.case.split(" · ")[0] in CAVEATS and row.outcome != MET
    ]  # fmt: skip
    return " ".join(found)
