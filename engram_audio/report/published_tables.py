"""Every published table by name: what the page may show and the data dictionary describes."""

from collections.abc import Mapping

from engram_audio.artifacts.columns import Table
from engram_audio.comparison.columns import CODECS, FRONTIER
from engram_audio.corpus.columns import CORPUS, EXCLUSIONS
from engram_audio.errors import InputError
from engram_audio.factorizer.columns import FACTORIZER, FACTORIZER_STATES, FACTORIZER_SWEEP
from engram_audio.generation.audio_columns import GENERATION_AUDIO, GENERATION_AUDIO_GAINS
from engram_audio.generation.columns import (
    GENERATION,
    GENERATION_GAINS,
    GENERATION_HEALTH,
    GENERATION_KEYS,
    GENERATION_LATENCY,
    GENERATION_REPLAY,
)
from engram_audio.generation.cost_columns import TABLES as GENERATION_COSTS
from engram_audio.keys.columns import KEY_DIRECTIONS, KEYS
from engram_audio.memory.columns import (
    MEMORY,
    MEMORY_CURVE,
    MEMORY_TUNING,
    MEMORY_VERDICT,
)
from engram_audio.prediction.columns import (
    PREDICTION,
    PREDICTION_CALIBRATION,
    PREDICTION_ROLLOUT,
    PREDICTION_TUNING,
    WORST_FRAMES,
)
from engram_audio.rollout.columns import ROLLOUT, ROLLOUT_SWEEP
from engram_audio.structure.columns import CURVES, LINEAR, NGRAMS, SPEAKERS, STRUCTURE
from engram_audio.trust.columns import CALIBRATION
from engram_audio.verdicts.columns import VERDICTS, WHAT_WOULD_CHANGE

STAGES: Mapping[str, tuple[Table, ...]] = {
    "Verdicts": (VERDICTS, WHAT_WOULD_CHANGE),
    "Speech": (CORPUS, EXCLUSIONS),
    "Structure": (STRUCTURE, LINEAR, CURVES, NGRAMS, SPEAKERS),
    "Keys by their laws": (KEYS, KEY_DIRECTIONS),
    "Prediction": (
        PREDICTION,
        WORST_FRAMES,
        PREDICTION_CALIBRATION,
        PREDICTION_ROLLOUT,
        PREDICTION_TUNING,
    ),
    "Factorizer": (FACTORIZER, FACTORIZER_SWEEP, FACTORIZER_STATES),
    "Codecs side by side": (CODECS, FRONTIER),
    "Memory": (MEMORY, MEMORY_VERDICT, MEMORY_TUNING, MEMORY_CURVE),
    "Rollout": (ROLLOUT, ROLLOUT_SWEEP),
    "Generation": (
        GENERATION,
        GENERATION_GAINS,
        GENERATION_HEALTH,
        GENERATION_KEYS,
        GENERATION_LATENCY,
        GENERATION_REPLAY,
        *GENERATION_COSTS,
        GENERATION_AUDIO,
        GENERATION_AUDIO_GAINS,
    ),
    "Calibration": (CALIBRATION,),
}
TABLES = {table.name: table for tables in STAGES.values() for table in tables}


def table_of_file(name: str) -> Table:
    """Return what `<name>.csv` declares.

    Raises:
        InputError: No stage publishes such a table.
    """
    table = TABLES.get(name.removesuffix(".csv"))
    if table is None:
        raise InputError(f"{name}: no stage publishes this table; there are: {', '.join(TABLES)}")
    return table
