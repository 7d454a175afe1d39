"""Made-up tables with a known word: what the gate must say row by row.

The first table proceeds. Every other one differs from it in one thing that must change the word.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from engram_audio.calibration.rows import CalibrationRow, compare
from engram_audio.calibration.truth import Truth
from engram_audio.structure.config import DecisionSection, LiteralGate, OperativeGate
from engram_audio.structure.decision import decide_all
from engram_audio.structure.evidence import Evidence, HeadsGain, Source
from engram_audio.structure.gate_row import Measured
from engram_audio.verdicts import words
from engram_audio.views import SliceName

NAME, KEY, OTHER, LAG = "made up", "pca.raw.kmeans_64", "predictive.raw.kmeans_64", 2
SLICES: tuple[SliceName, ...] = ("all", "medial")
PARTS = ("val", "select", "eval")
SECTION = DecisionSection(
    representation=NAME,
    lag_frames=LAG,
    slices=SLICES,
    literal_gate=LiteralGate(keys=(KEY,), maximum_ratio=0.6, maximum_transfer_loss=0.2),
    operative_gate=OperativeGate(
        minimum_added_fraction=0.05,
        minimum_added_nats=0.02,
        minimum_share_of_information=0.01,
        maximum_transfer_loss=0.2,
        maximum_excluded_mass=0.1,
        control_tolerance=0.02,
    ),
)
# value and standard error, at 100 degrees of freedom
ESTIMATES: dict[str, tuple[float, float]] = {
    "ratio": (0.7, 0.01), "linear_r2": (0.25, 0.01), "added": (0.03, 0.001),
    "added_fraction": (0.2, 0.01), "added_nats_per_frame": (0.5, 0.02),
    "control_permuted": (0.0, 0.005), "control_swapped": (0.0, 0.005),
}  # fmt: skip
NUMBERS = {
    "status": "ok", "codebook_size": 64, "num_speakers": 101, "num_frames": 10_000,
    "attainable": 0.15, "excluded_mass": 0.01, "oracle_excluded_mass": 0.01,
    "cost_of_fitting": 1e-4, "oracle_cost_of_fitting": 1e-3, "num_effective_speakers": 90.0,
    "largest_speaker_share": 0.02, "transfer_loss": 0.05, "transfer_loss_low": 0.0,
    "transfer_loss_high": 0.1,
}  # fmt: skip
UNMEASURED = {"added_fraction": (0.0, 0.01), "added_nats_per_frame": (0.0, 0.005)}
LITTLE = {"added_fraction": (0.03, 0.0096), "added_nats_per_frame": (0.5, 0.02)}
LOST = {"transfer_loss": 0.5, "transfer_loss_low": 0.4, "transfer_loss_high": 0.6}


class Case(NamedTuple):
    """One made-up study.

    Attributes:
        what: What differs, in words.
        word: The right word.
        eval: Changes of the key's eval rows.
        select: Changes of its rows on the part of choice.
        other: Changes of a second key's rows, by part; None where there is one key.
        gain: Heads' gain in nats.
        gain_error: Its standard error, at 100 degrees of freedom.
        source: What a frame sees.
        second_split: Changes of the key on a second split seed; None where there is one.
    """

    what: str
    word: str
    eval: Mapping[str, Any] = {}
    select: Mapping[str, Any] = {}
    other: Mapping[str, Mapping[str, Any]] | None = None
    gain: float = 0.3
    gain_error: float = 0.0005
    source: Source = Source(overlap_frames=1)
    second_split: Mapping[str, Any] | None = None


CASES = (
    Case("a key that adds everywhere", words.PROCEED),
    Case("a tenth and more excluded by the key", words.INVALID, eval={"excluded_mass": 0.2}),
    Case("a tenth and more excluded by the oracle", words.INVALID,
         eval={"oracle_excluded_mass": 0.2}),
    Case("cells that cost too much", words.INVALID, eval={"cost_of_fitting": 0.01}),
    Case("an invalid key where it is chosen", words.INVALID, select={"excluded_mass": 0.2}),
    Case("four effective speakers", words.INVALID, eval={"num_effective_speakers": 4.0}),
    Case("a useless key that adds", words.INVALID, eval={"control_permuted": (0.1, 0.005)}),
    Case("nothing added where a useless key subtracts", words.INVALID, gain=0.0,
         eval={**UNMEASURED, "control_permuted": (-0.1, 0.005)}),
    Case("nats that may be too few", words.UNDECIDED, eval={"added_nats_per_frame": (0.03, 0.01)}),
    Case("half lost between speakers", words.UNDECIDED, eval=LOST),
    Case("frames that see what follows", words.UNDECIDED,
         source=Source(is_causal=False, overlap_frames=1)),
    Case("recordings that stand under two speakers", words.INVALID,
         source=Source(overlap_frames=1, copied_share=0.02, copied_pair="a and b")),
    Case("frames that share samples", words.NO_CONTROL, source=Source(overlap_frames=4)),
    Case("nothing added and nothing gained", words.STOP, eval=UNMEASURED, gain=0.0),
    Case("heads below delta at the plain level only", words.UNDECIDED, eval=UNMEASURED, gain=0.0,
         gain_error=0.0096),
    Case("nothing added but much gained", words.WRONG_KEY_MEAN, eval=UNMEASURED),
    Case("ruled out at the plain level only", words.UNDECIDED, eval=LITTLE, gain=0.0),
    Case("an interval that holds the threshold", words.UNDECIDED,
         eval={"added_fraction": (0.06, 0.01)}),
    Case("a second key that may add", words.UNDECIDED, eval=UNMEASURED, gain=0.0,
         other={"select": UNMEASURED, "eval": {"added_fraction": (0.06, 0.01)}}),
    Case("a key that adds only where it is tested", words.UNDECIDED,
         eval={"added_fraction": (0.06, 0.01)},
         other={"select": UNMEASURED, "eval": {"added_fraction": (0.3, 0.01)}}),
    Case("a better key among two", words.PROCEED,
         other={"select": UNMEASURED, "eval": UNMEASURED}),
    Case("another split that says the opposite", words.UNDECIDED, second_split=UNMEASURED),
)  # fmt: skip


def gate_rows() -> list[CalibrationRow]:
    """Return one row for each made-up table: 1 where the gate says the right word."""
    return [_row(case) for case in CASES]


def _row(case: Case) -> CalibrationRow:
    is_right = _word(case) == case.word
    truth = Truth(f"{case.word} on {case.what}", LAG, 1.0)
    return compare(NAME, "gate", truth, float(is_right), 0.0)


def _word(case: Case) -> str:
    half = 1.984 * case.gain_error  # t(100)
    gain = Measured(case.gain, case.gain - half, case.gain + half)
    heads = {name: HeadsGain(gain, 0.5, df=100.0) for name in SLICES}
    linear = pd.DataFrame(
        columns=["representation", "split_seed", "lag_frames", "slice", "part", "model", "r2"]
    )
    evidence = Evidence({NAME: heads}, {NAME: case.source})
    return decide_all(pd.DataFrame(list(_table(case))), linear, SECTION, 0.95, evidence)[
        NAME
    ].verdict


def _table(case: Case) -> Iterator[dict[str, Any]]:
    own = {"select": case.select, "eval": case.eval}
    yield from _key_rows(KEY, 0, own)
    if case.other is not None:
        yield from _key_rows(OTHER, 0, case.other)
    if case.second_split is not None:
        yield from _key_rows(KEY, 1, {"eval": case.second_split})


def _key_rows(
    key: str, seed: int, changes: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    for place in SLICES:
        for part in PARTS:
            cells: dict[str, Any] = {
                "representation": NAME, "split_seed": seed, "key": key, "lag_frames": LAG,
                "slice": place, "subspace": "all", "part": part,
            }  # fmt: skip
            for name, value in {**NUMBERS, **ESTIMATES, **changes.get(part, {})}.items():
                match value:
                    case number, error:
                        cells |= {name: number, f"{name}_se": error, f"{name}_df": 100.0}
                    case _:
                        cells[name] = value
            yield cells
