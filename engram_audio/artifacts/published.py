"""Published files that the report reads back, its templates, and the page itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.artifacts.checksum import require_checksum
from engram_audio.artifacts.columns import Table, as_written
from engram_audio.artifacts.json_document import read_text
from engram_audio.artifacts.table import read_table_manifest, require_intact
from engram_audio.errors import InputError


def read_csv(path: Path, table: Table) -> pd.DataFrame:
    """Read a published CSV; words such as `None` or `nan` in text columns stay text.

    Raises:
        InputError: The table or its checksum is missing, damaged, or its columns are not those that
            the table declares: it was written by other code.
    """
    require_checksum(path)
    try:
        frame = pd.read_csv(path, low_memory=False, keep_default_na=False, na_values=[""])
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: not a readable CSV ({error}); delete it and rerun the rule that makes it"
        ) from error
    table.check(list(frame.columns), str(path))
    return as_written(frame)


def read_cells(path: Path, keys: Sequence[str], lag_frames: int, slice_name: str) -> pd.DataFrame:
    """Read the rows of a cells table that the page draws; others never enter memory.

    Raises:
        InputError: Missing, unreadable, or not what was written.
    """
    require_intact(path)
    try:
        # No key may be chosen, and an array without elements has no type of its own.
        names = pa.array(list(keys), pq.read_schema(path).field("key").type)
        is_drawn = (
            (pc.field("key").isin(names))
            & (pc.field("lag_frames") == lag_frames)
            & (pc.field("slice") == slice_name)
        )
        return pq.read_table(path, filters=is_drawn).to_pandas()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: not a readable cells table ({error}); delete it and rerun the rule that "
            "makes it"
        ) from error


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest inside a parquet table, named by its path."""
    return {"artifact": str(path), **read_table_manifest(path)}


def read_benchmark(path: Path) -> tuple[float, float] | None:
    """Return wall seconds and peak resident MiB of one job; None where Snakemake left no such file.

    Benchmarks are no declared outputs: a copied results folder may lack them. A repeated benchmark
    has several lines, of which the largest counts.
    """
    try:
        frame = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        seconds = frame["s"].to_numpy(float).max()
        peak = frame["max_rss"].to_numpy(float).max() if "max_rss" in frame else float("nan")
    except (OSError, ValueError, KeyError):  # absent, no table, no such column, no numbers
        return None
    return float(seconds), float(peak)


def list_benchmarks(folder: Path) -> list[Path]:
    """Return the benchmark files below a folder, sorted; none where the folder is absent."""
    return sorted(Path(folder).rglob("*.tsv")) if Path(folder).is_dir() else []


def read_templates(paths: Sequence[Path]) -> dict[str, str]:
    """Return template name -> text; a name is relative to the folder of the page template.

    Raises:
        InputError: The page template is not among the paths.
    """
    pages = [Path(path) for path in paths if Path(path).name == "page.html.j2"]
    if len(pages) != 1:
        raise InputError("templates: exactly one page.html.j2 is needed; restore report_templates/")
    folder = pages[0].parent
    return {Path(path).relative_to(folder).as_posix(): read_text(Path(path)) for path in paths}


def write_page(path: Path, html: str) -> None:
    """Write the page."""
    with atomic_path(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
