"""What the page is made of: the published tables and documents, read by the step."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from engram_audio.artifacts.columns import absent_columns
from engram_audio.report.config import ReportSection
from engram_audio.report.published_tables import TABLES

SURROGATE_MARK = "--"


class ReportData(NamedTuple):
    """Everything a section may show; a stage adds a table or a document, not a field.

    Attributes:
        settings: The report's own settings.
        sections: Configuration sections by name, as plain documents.
        tables: Published tables by name (`structure` for tables/structure.csv).
        documents: Published documents by name (`decision`).
        cells: Per-cell rows of the structure stage, with representation and split_seed.
        summaries: Latent summaries by representation.
        players: Audio examples by representation.
        timings: One row per rule: jobs, jobs_without_file, total_s, longest_s, peak_mib.
        manifests: One row per artifact: artifact, step, code_digest, section_digests, seed,
            packages.
        packages: Versions of the packages that rendered the page.
        question: The one question of this page; "" for the page of the whole study.
    """

    settings: ReportSection
    sections: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    documents: Mapping[str, dict[str, Any]]
    cells: pd.DataFrame
    summaries: Mapping[str, dict[str, Any]]
    players: Mapping[str, list[dict[str, Any]]]
    timings: pd.DataFrame
    manifests: list[dict[str, Any]]
    packages: Mapping[str, str]
    question: str = ""

    def table(self, name: str) -> pd.DataFrame:
        """Return a published table, without rows where the study has none.

        Raises:
            KeyError: No stage publishes such a table.
        """
        found = self.tables.get(name)
        return TABLES[name].empty() if found is None else found

    @property
    def decision(self) -> dict[str, Any]:
        """The decision document."""
        return self.documents["decision"]

    @property
    def registered(self) -> dict[str, Any]:
        """The decision section: what was fixed before looking (representation, keys, lag)."""
        return self.sections["decision"]

    def base_representations(self) -> list[str]:
        """Representations that are no surrogates, the deciding one first, then by name."""
        names = {str(name) for name in self.tables["structure"]["representation"]}
        bases = sorted(name for name in names if SURROGATE_MARK not in name)
        chosen = self.registered["representation"]
        return sorted(bases, key=lambda name: (name != chosen, name))

    def first_split(self, representation: str) -> int:
        """The split seed that decides: the one of the decision's rows, else the smallest."""
        entry = self.decision.get("representations", {}).get(representation, {})
        seeds = [row.get("split_seed") for row in entry.get("gates", {}).get("operative", [])]
        seeds = [int(seed) for seed in seeds if seed is not None]
        table = self.tables["structure"]
        found = table.loc[table["representation"] == representation, "split_seed"]
        return seeds[0] if seeds else int(found.min())


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
