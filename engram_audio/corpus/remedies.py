"""What a person can do about a file, or a row of a table, that is not used."""

from collections.abc import Mapping

ANOTHER_FILE = "save the file again, or take it out"
REMEDIES: Mapping[str, str] = {
    # audio
    "unreadable": ANOTHER_FILE,
    "not_a_regular_file": "put a file there",
    "link_cycle": "remove the link",
    "empty": ANOTHER_FILE,
    "truncated": "copy the whole file again",
    "corrupt": "copy the file again",
    "too_long": "cut it into utterances",
    "too_short": "lower the minimum, or leave it out",
    "wrong_rate": "resample it, or leave it out",
    "stereo": "mix it down, or use `layout: folders` or `layout: table`",
    "not_finite": "write numbers there, or leave it out",
    "out_of_range": "divide its samples by the same number",
    "silent": "record it again, or leave it out",
    "duplicate": "keep one of them",
    "duplicate_id": "rename one of them",
    "non_ascii_name": "rename it in ASCII",
    "unsafe_name": "rename it",
    "not_flac": "convert it to FLAC",
    "other_format": "convert it to WAV or FLAC",
    "misplaced": "move it to where the layout looks",
    "outside_folder": "move it below the folder",
    "missing_audio": "add the file, or take the line out",
    "no_table_row": "add its row to the table, or leave it out",
    # arrays
    "missing_file": "add the file, or take the row out",
    "missing_array": "save it under the name `latents`",
    "wrong_dtype": "save it as float32",
    "wrong_shape": "save it as [frames, dimensions]",
    "wrong_dims": "save it with as many dimensions as the others",
    "wrong_energy": "save one finite number for each frame, or no energy",
    "too_large": "divide all arrays by the same number",
    "absurd": "correct that value, or leave it out",
    "constant": "leave it out",
}


def with_remedy(reason: str, detail: str) -> str:
    """Return what was found and what to do; a detail that says so already is left as it is."""
    return detail if "; " in detail else f"{detail}; {REMEDIES[reason]}"
