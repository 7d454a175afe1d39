"""The words of the structure stage's gate, of learned keys and of the headline."""

from engram_audio.verdicts.judge import MET, NOT_MET
from engram_audio.verdicts.judge import UNDECIDED as OPEN
from engram_audio.verdicts.row import INVALID as INVALID_OUTCOME

PROCEED, STOP, UNDECIDED, INVALID = "PROCEED", "STOP", "UNDECIDED", "INVALID"
NO_HEADS = "PROCEED, heads not run"
LAW_NOT_MEAN = "LAW, NOT MEAN"
WRONG_KEY = "WRONG KEY"
WRONG_KEY_MEAN = "WRONG KEY (mean only)"  # until a key's whole law is scored
NO_CONTROL = "UNDECIDED (no overlap control)"
HELPS, COMPRESSES = "HELPS", "COMPRESSES"
PATHWAY_NOT_TESTED = "HELPS, pathway not tested"  # decides nothing
NO_BENEFIT, HURTS = "NO BENEFIT", "HURTS"
# The outcome of the verdict table behind each word.
OF_STRUCTURE = {
    PROCEED: MET, NO_HEADS: MET, STOP: NOT_MET, LAW_NOT_MEAN: NOT_MET, WRONG_KEY: NOT_MET,
    WRONG_KEY_MEAN: NOT_MET, UNDECIDED: OPEN, NO_CONTROL: OPEN, INVALID: INVALID_OUTCOME,
}  # fmt: skip
SMALL_KEY = "STRUCTURE IN A SMALL KEY"
LEARNED_KEY_ONLY = "LEARNED KEY ONLY"
NOT_COMPRESSIBLE = "NOT COMPRESSIBLE"
NO_STRUCTURE = "NO STRUCTURE"
KEY_UNDECIDED = UNDECIDED
# The outcome of the verdict table behind each word about a curve of nats against ln K.
OF_KEYS = {
    SMALL_KEY: MET, LEARNED_KEY_ONLY: MET, NOT_COMPRESSIBLE: NOT_MET, NO_STRUCTURE: NOT_MET,
    KEY_UNDECIDED: OPEN,
}  # fmt: skip
# Likewise of the generation stage. What was not tested decides nothing.
OF_GENERATION = {
    HELPS: MET, COMPRESSES: MET, PATHWAY_NOT_TESTED: OPEN, NO_BENEFIT: NOT_MET, HURTS: NOT_MET,
    UNDECIDED: OPEN, INVALID: INVALID_OUTCOME,
}  # fmt: skip
