"""Write the data dictionary: every published table as its stage declares it.

Usage: `python -m engram_audio.data_dictionary docs/data-dictionary.md`
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.artifacts.columns import Column, Table
from engram_audio.report.published_tables import STAGES

HEAD = """# Data dictionary

`make docs` writes this page from `engram_audio/<stage>/columns.py`. Edit those files.

The tables lie under `<results>/tables/`, the verdicts in `<results>/`. They are UTF-8,
comma-separated, with a header line and 9 significant digits. An empty cell is a number that does
not exist there: of a part, a bound or a setting that is not there. Text columns of
`exclusions.csv` hold names as found on disk: treat them as untrusted text.

The **speaker** is the unit of resampling, everywhere. Differences are paired on the same frames of
the same speakers. `x[_low,_high]` stands for the columns `x`, `x_low` and `x_high`. The endings
are:

- `_low`, `_high`: ends of the two-sided t interval at `statistics.confidence`, over speakers, with
  `num_speakers` - 1 degrees of freedom. Where the column says so, they are Fieller's.
- `_se`: standard error of the linearised ratio of sums. The interval at any level is
  `x` -+ t * `x_se`. `decide` uses exactly that. `_df`: its degrees of freedom.
- `_null`: the same score of the best null on the same frames.

Where no unit is given, nats are per frame, bits per second (nats per frame times frame rate over
ln 2), and other numbers are shares, ratios or counts. NLL is a mean over frames. `is_pareto` looks
at eval: choosing by it would be selection on eval.

`<number>` and `<name>` in a column's name stand for what the study asks for: a percent, the first
and last direction, the name of a surrogate. `docs/files-between-steps.md` describes
`decision.json` and the files that steps hand on.
"""


# Units that the head of the page gives to columns without one.
SAID = {"nats/frame", "bits/s", "share"}


def dictionary_text() -> str:
    """Return the page as Markdown."""
    shared = shared_columns()
    parts = [HEAD, "\n".join(_shared_lines(shared))]
    for stage, tables in STAGES.items():
        parts.append(f"\n## {stage}\n")
        parts += ["\n".join(_lines(table, shared)) for table in tables]
    return "".join(parts)


def shared_columns() -> dict[str, Column]:
    """Return the columns that several tables declare in the same words, by name.

    Where a name has several meanings, the one of most tables is shared.
    """
    columns = [column for tables in STAGES.values() for table in tables for column in table.columns]
    counts = Counter(map(_row, columns))
    found: dict[str, Column] = {}
    for column in sorted(columns, key=lambda column: -counts[_row(column)]):
        if counts[_row(column)] > 1:
            found.setdefault(column.name, column)
    return dict(sorted(found.items()))


def _shared_lines(shared: Mapping[str, Column]) -> Iterator[str]:
    yield "\n## Columns of several tables\n"
    yield from rows_of(shared.values())
    yield ""


def _lines(table: Table, shared: Mapping[str, Column]) -> Iterator[str]:
    yield f"\n### {table.name}.csv\n\nOne row per {table.row}.\n"
    common = [column.name for column in table.columns if _same(column, shared.get(column.name))]
    if common:
        yield f"Above: {', '.join(f'`{name}`' for name in common)}.\n"
    yield from rows_of(column for column in table.columns if column.name not in common)
    for note in table.notes:
        yield f"\n{note}"
    yield ""


def rows_of(columns: Iterable[Column]) -> Iterator[str]:
    """Yield a row for each meaning, with the names of all columns that have it."""
    names: dict[str, list[str]] = {}
    for column in columns:
        names.setdefault(column.meaning, []).append(_name(column))
    for meaning, found in names.items():
        yield f"- {', '.join(found)}: {meaning}"


def _name(column: Column) -> str:
    endings = ",".join(ending for ending in column.endings if ending)
    name = f"{column.name}[{endings}]" if endings else column.name
    is_said = column.unit in SAID or re.search("^num_|_frames$", column.name)
    return f"`{name}`" if not column.unit or is_said else f"`{name}` ({column.unit})"


def _same(column: Column, other: Column | None) -> bool:
    return other is not None and _row(column) == _row(other)


def _row(column: Column) -> tuple[str, str]:
    """Return what makes two columns of different tables one."""
    return _name(column), column.meaning


if __name__ == "__main__":
    with atomic_path(Path(sys.argv[1])) as temporary:
        temporary.write_text(dictionary_text(), encoding="utf-8")
