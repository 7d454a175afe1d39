"""Voices of the demo corpus: espeak-ng variants that differ in voice, pitch and rate.

Chosen once by measurement. Of the variants of `en-us` at three pitches, those meant to sound
robotic, whispered or inhuman left out, each read four sentences; a voice was described by the mean
of 19 mel-cepstral coefficients and by its median pitch, in units of the SD between its own
sentences. Rows are in farthest-point order, sexes in turn, so the first n are about as different as
n voices can be. The sex is the variant's own `gender`, or that of its name where it gives none.
"""

from typing import NamedTuple


class Voice(NamedTuple):
    """One speaker.

    Attributes:
        variant: File in espeak-ng's `voices/!v`.
        sex: F or M.
        pitch: espeak-ng's 0 .. 100; 50 is the variant's own.
        rate: espeak-ng's setting.
        words_per_minute: What that setting gives, measured on a sixth of the sentences.
    """

    variant: str
    sex: str
    pitch: int
    rate: int
    words_per_minute: int


VOICES = (
    Voice("f2", "F", 50, 121, 150),
    Voice("david", "M", 35, 127, 163),
    Voice("Alicia", "F", 65, 162, 176),
    Voice("gustave", "M", 65, 125, 157),
    Voice("belinda", "F", 65, 134, 171),
    Voice("AnxiousAndy", "M", 50, 154, 154),
    Voice("steph2", "F", 35, 131, 166),
    Voice("edward2", "M", 65, 140, 179),
    Voice("steph3", "F", 65, 127, 160),
    Voice("travis", "M", 65, 139, 174),
    Voice("grandma", "F", 65, 124, 157),
    Voice("Lee", "M", 35, 140, 169),
    Voice("aunty", "F", 35, 122, 151),
    Voice("ian", "M", 50, 131, 164),
    Voice("anika", "F", 50, 117, 177),
    Voice("Andy", "M", 35, 132, 159),
    Voice("shelby", "F", 35, 137, 172),
    Voice("norbert", "M", 50, 123, 154),
    Voice("Andrea", "F", 50, 110, 167),
    Voice("quincy", "M", 35, 145, 180),
    Voice("Annie", "F", 50, 128, 162),
    Voice("boris", "M", 35, 140, 175),
    Voice("f4", "F", 65, 127, 157),
    Voice("pablo", "M", 65, 136, 170),
    Voice("f1", "F", 35, 125, 152),
    Voice("marcelo", "M", 35, 132, 165),
    Voice("f5", "F", 65, 145, 178),
    Voice("Marco", "M", 50, 171, 160),
    Voice("steph", "F", 50, 138, 173),
    Voice("miguel", "M", 35, 124, 155),
    Voice("f3", "F", 35, 134, 168),
    Voice("sandro", "M", 65, 119, 150),
    Voice("linda", "F", 35, 131, 163),
    Voice("Nguyen", "M", 65, 139, 174),
    Voice("Andrea", "F", 65, 103, 158),
    Voice("paul", "M", 35, 137, 171),
    Voice("anika", "F", 35, 100, 154),
    Voice("Gene2", "M", 65, 132, 166),
    Voice("grandma", "F", 35, 143, 180),
    Voice("victor", "M", 35, 129, 161),
    Voice("shelby", "F", 65, 138, 174),
    Voice("ed", "M", 65, 124, 156),
    Voice("Alicia", "F", 35, 156, 169),
    Voice("Jacky", "M", 50, 120, 151),
    Voice("Annie", "F", 65, 130, 165),
    Voice("m2", "M", 65, 142, 177),
    Voice("f3", "F", 65, 127, 160),
    Voice("m7", "M", 35, 138, 172),
)
