"""A table that a user writes by hand or by a table program: CSV or TSV, all values are text."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from engram_audio.artifacts.regular_file import open_regular
from engram_audio.errors import InputError, one_line

DELIMITERS = ",\t;|"
ZIP_START = b"PK\x03\x04"
# How programs write a cell that has no value; an id of this name would be shared by strangers.
MISSING = ("", "nan", "none", "null", "<na>", "n/a", "#n/a")
SEPARATORS = re.compile(r"[ -]+")  # of the words of a column's name
LINE = "line of the file"  # column with the line that a row ends on


def read_text_table(
    path: Path, required: Sequence[str], others: Mapping[str, Sequence[str]] | None = None
) -> pd.DataFrame:
    """Read a table with a header; the delimiter is the one that the header has most of.

    Case and blanks around a column's name do not count, nor do blanks around a value. `Speaker ID`
    and `speaker-id` are `speaker_id`.

    Args:
        path: The file, UTF-8.
        required: Columns that it must have, without an empty cell.
        others: By the name of a column the other names that it may have.

    Returns:
        The columns under their own names, and LINE.

    Raises:
        InputError: Missing, no table, without rows, a column is absent or there twice, a row has
            more cells than the header, or a required cell is empty.
    """
    lines = _lines(path, _read(path, required))
    _, header = next(lines, (1, []))
    names = _names(path, header, others or {})
    for column in required:
        if column not in names:
            found = one_line(", ".join(cell for cell in header if cell) or "none")
            is_one = len(header) == 1 and " " in header[0]
            hint = ": one column; separate cells by a comma" if is_one else ""
            raise InputError(f"{path}: lacks the column {column}; add it (it has {found}{hint})")
    rows = [_row(path, line, names, cells) for line, cells in lines]
    if not rows:
        raise InputError(f"{path}: has no rows; list one file or utterance per row")
    table = pd.DataFrame(rows, columns=[*dict.fromkeys([*filter(None, names), LINE])])
    _require_filled(path, table, required)
    return table


def _read(path: Path, required: Sequence[str]) -> str:
    try:
        with open_regular(path) as handle:
            content = handle.read()
        if content.startswith(ZIP_START):
            raise InputError(f"{path}: is a zip file, as Excel writes it; save the sheet as CSV")
        return content.decode("utf-8-sig")
    except FileNotFoundError as error:
        wanted = " and ".join(required)
        raise InputError(f"{path}: no such file; it lists {wanted}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not a readable CSV table (byte {error.start} is not UTF-8); save it as UTF-8"
        ) from error
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path}: not a readable CSV table ({one_line(error)}); mend it"
        ) from error


def _lines(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each line that is not blank."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    # Cells of a TSV are not quoted: a sentence of Common Voice may begin with a quotation mark.
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [_bare(cell) for cell in cells]
    except csv.Error as error:
        raise InputError(
            f"{path}: not a readable CSV table (row {reader.line_num}: {one_line(error)}); mend it"
        ) from error


def _bare(cell: str) -> str:
    """Return a cell without blanks, and without the quotation marks of a TSV, around it."""
    cell = cell.strip()
    is_quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].strip() if is_quoted else cell


def _names(path: Path, header: Sequence[str], others: Mapping[str, Sequence[str]]) -> list[str]:
    own = {other: name for name, spellings in others.items() for other in spellings}
    plain = [SEPARATORS.sub("_", cell.casefold()) for cell in header]
    names = [own.get(name, name) for name in plain]
    for position, name in enumerate(names):
        if name and name in names[:position]:
            first = header[names.index(name)]
            raise InputError(
                f"{path}: the columns {one_line(first)!r} and {one_line(header[position])!r} are "
                f"both {one_line(name)}; keep one"
            )
    return names


def _row(path: Path, line: int, names: Sequence[str], cells: Sequence[str]) -> dict[str, object]:
    if any(cells[len(names) :]):
        raise InputError(
            f"{path}: row {line} has {len(cells)} cells, the header has {len(names)}; quote cells "
            "that hold the delimiter"
        )
    filled = [*cells, *[""] * (len(names) - len(cells))]
    return {**dict(zip(names, filled, strict=False)), LINE: line}


def _require_filled(path: Path, table: pd.DataFrame, required: Sequence[str]) -> None:
    for column in required:
        empty = table.loc[table[column].str.casefold().isin(MISSING), [LINE, column]]
        if len(empty):
            line, cell = empty.iloc[0]
            found = f" ({cell!r} stands for none)" if cell else ""
            raise InputError(f"{path}: row {int(line)} has no {column}{found}; fill it in")
