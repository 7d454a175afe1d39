"""What a published table is: its columns, declared once.

A stage declares its tables in `<stage>/columns.py`. The stage's own functions arrange their frames
by the declaration, the writer refuses what differs from it, the page takes titles, units and help
from it, and `make docs` writes it out as the data dictionary.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from engram_audio.errors import InputError

NEAR = 0.4  # similarity at which a name may be meant: `lag` for `lag_frames`
# What a table program takes for a formula, with the marks that `harmless` may have put before it.
FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# Python before 3.13 does not quote a carriage return, which readers take for the end of a row.
CARRIAGE_RETURN = re.compile(r"[^\r]*\r")
QUOTED = "\n\uf8ff\n"  # stands in for it: a line feed is quoted, and nobody writes this character
MADE_HARMLESS = re.compile("'" + FORMULA.pattern)
PLACEHOLDERS = {"<number>": r"\d+", "<name>": r"[a-z_]+"}


class Column(NamedTuple):
    """One published column, with the columns that stand beside it.

    Attributes:
        name: Its name. A family holds `<number>` or `<name>`, such as `nll_q<number>`: a frame has
            none, one or more of them.
        meaning: One or two sentences, for the page and for the data dictionary.
        unit: Its unit, empty for shares, ratios and words.
        title: Heading on the page, empty where the page never shows it.
        has_interval: Whether `<name>_low` and `<name>_high` follow.
        has_standard_error: Whether `<name>_se` follows.
        has_df: Whether `<name>_df` follows: degrees of freedom of the standard error.
        has_null: Whether `<name>_null` follows: what the best null scores.
        is_text: Whether it holds words.
        quotient: Numerator and denominator among the stage's sums by speaker, where the column is
            their quotient. The stage then fills it by itself.
    """

    name: str
    meaning: str
    unit: str = ""
    title: str = ""
    has_interval: bool = False
    has_standard_error: bool = False
    has_df: bool = False
    has_null: bool = False
    is_text: bool = False
    quotient: tuple[str, str] | None = None

    @property
    def endings(self) -> list[str]:
        """What follows the name: of the value itself, interval, standard error, its df, null."""
        flags = {
            "": True, "_low": self.has_interval, "_high": self.has_interval,
            "_se": self.has_standard_error, "_df": self.has_df, "_null": self.has_null,
        }  # fmt: skip
        return [ending for ending, is_there in flags.items() if is_there]

    def names(self, found: Iterable[str]) -> list[str]:
        """Return the columns that a frame with the columns `found` should have for this one."""
        if not self.is_family:
            return [f"{self.name}{ending}" for ending in self.endings]
        last = re.compile("|".join(f"({ending})$" for ending in self.endings if ending) or "$^")
        bases = dict.fromkeys(last.sub("", name) for name in found if self.fits(name))
        return [f"{base}{ending}" for base in bases for ending in self.endings]

    @property
    def is_family(self) -> bool:
        """Whether its name stands for several columns."""
        return "<" in self.name

    def fits(self, name: str) -> bool:
        """Return whether a frame's column is this one, or stands beside it."""
        pattern = re.escape(self.name)
        for placeholder, allowed in PLACEHOLDERS.items():
            pattern = pattern.replace(re.escape(placeholder), allowed)
        return re.fullmatch(f"{pattern}({'|'.join(self.endings)})", name) is not None


class Table(NamedTuple):
    """One published table.

    Attributes:
        name: Name of the file, without `.csv`.
        row: What one row is, such as `speaker and key`.
        columns: Its columns, in the order of the file.
        notes: Paragraphs below the columns in the data dictionary.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Column:  # type: ignore[override]
        """Return a declared column.

        Raises:
            InputError: No column has this name.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise absent_columns([name], [column.name for column in self.columns], f"table {self.name}")

    def names(self, found: Iterable[str] = ()) -> list[str]:
        """Return every column of the file, in order; families as far as `found` has members."""
        found = [str(name) for name in found]
        return [name for column in self.columns for name in column.names(found)]

    def empty(self) -> pd.DataFrame:
        """Return the table without rows and without members of families."""
        return pd.DataFrame(columns=self.names())

    def arrange(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame with its columns in the declared order.

        Raises:
            InputError: A column is not declared, or a declared one is absent.
        """
        self.check_names(list(frame.columns), f"table {self.name}")
        return frame.loc[:, self.names(frame.columns)]

    def check(self, found: Sequence[str], where: str) -> None:
        """Check the columns of a frame or of a file, order included.

        Args:
            found: Its columns.
            where: The file or table, for the message.

        Raises:
            InputError: A column is not declared, a declared one is absent, or the order differs.
        """
        self.check_names(found, where)
        pairs = zip(found, self.names(found), strict=True)
        moved = [(name, wanted) for name, wanted in pairs if name != wanted]
        if moved:
            name, wanted = moved[0]
            raise InputError(
                f"{where}: column '{name}' stands where '{wanted}' is declared to stand; put the "
                f"columns in the order of table '{self.name}'"
            )

    def check_names(self, found: Sequence[str], where: str) -> None:
        """Check the columns as `check` does, but for their order.

        Raises:
            InputError: A column is twice, not declared, or absent.
        """
        wanted = self.names(found)
        twice = sorted({str(name) for name in found if list(found).count(name) > 1})
        if twice:
            raise InputError(f"{where}: has the column(s) {_quoted(twice)} twice; keep one")
        unknown = [str(name) for name in found if name not in set(wanted)]
        missing = [name for name in wanted if name not in set(found)]
        if unknown or missing:
            source = f"`columns.py` of the stage that makes {self.name}.csv"
            raise InputError(
                f"{where}: {_difference(unknown, missing)}, see {source}; "
                f"{_remedy(unknown, missing)}"
            )


def safe_csv(frame: pd.DataFrame, digits: int) -> str:
    """Return a table as CSV whose text no table program takes for a formula (`harmless`).

    Args:
        frame: The table.
        digits: Significant digits of its numbers.
    """
    safe = _with_texts(harmless(frame), CARRIAGE_RETURN, lambda text: text.replace("\r", QUOTED))
    text = safe.to_csv(index=False, float_format=f"%.{digits}g", lineterminator="\n")
    return text.replace(QUOTED, "\r")


def harmless(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose text no table program takes for a formula: such a cell gets a `'`.

    File names and ids come from whoever made the corpus. `=HYPERLINK(..)` in a cell is run when the
    CSV is opened. Numbers, and texts that are numbers, stay as they are.
    """
    return _with_texts(frame, FORMULA, lambda text: text if _is_number(text) else f"'{text}")


def as_written(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table that `harmless` was given."""
    return _with_texts(frame, MADE_HARMLESS, lambda text: text[1:])


def _with_texts(
    frame: pd.DataFrame, pattern: re.Pattern[str], change: Callable[[str], str]
) -> pd.DataFrame:
    """Return the frame with the texts that a pattern fits changed; other columns are shared."""
    changed = {}
    for name, column in frame.items():
        if pd.api.types.is_numeric_dtype(column.dtype):
            continue
        cells = column.tolist()
        texts = {
            cell: change(cell) for cell in cells if isinstance(cell, str) and pattern.match(cell)
        }
        if any(new != old for old, new in texts.items()):
            new = [texts.get(cell, cell) for cell in cells]
            changed[name] = pd.Series(new, index=frame.index, dtype=object)
    return frame.assign(**changed) if changed else frame


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text == text.strip()


def absent_columns(wanted: Sequence[str], found: Iterable[object], where: str) -> InputError:
    """Return the error of columns that are not there, with the name nearest to the first."""
    names = [str(column) for column in found]
    near = difflib.get_close_matches(wanted[0], names, n=1, cutoff=NEAR)
    hint = f"did you mean '{near[0]}'?" if near else f"it has: {', '.join(names) or 'none'}"
    return InputError(f"{where}: has no column {_quoted(wanted)}; {hint}")


def choose(frame: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """Return the rows whose columns equal the wanted values, or one of several in a list.

    Raises:
        InputError: The frame has no column of that name.
    """
    mask = pd.Series(True, index=frame.index)
    for name, value in wanted.items():
        if name not in frame.columns:
            raise absent_columns([name], frame.columns, "filter")
        column = frame[name]
        mask &= column.isin(list(value)) if isinstance(value, list | tuple) else column == value
    return frame.loc[mask]


def first_row(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the first row by column; every value is missing where the frame has no rows.

    A name that is no column raises a KeyError, with rows and without.
    """
    if frame.empty:
        return dict.fromkeys(map(str, frame.columns), float("nan"))
    return {str(name): value for name, value in frame.iloc[0].to_dict().items()}


def _difference(unknown: Sequence[str], missing: Sequence[str]) -> str:
    parts = [f"has the undeclared column(s) {_quoted(unknown)}"] * bool(unknown)
    parts += [f"lacks the declared column(s) {_quoted(missing)}"] * bool(missing)
    return " and ".join(parts)


def _remedy(unknown: Sequence[str], missing: Sequence[str]) -> str:
    near = difflib.get_close_matches(unknown[0], missing, n=1, cutoff=NEAR) if unknown else []
    if near:
        return f"'{unknown[0]}' may be '{near[0]}'; rerun the rule that makes it"
    return "declare or remove the column, or rerun the rule that makes the table"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
