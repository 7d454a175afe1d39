"""Planted bugs against probes: a row that passes in the honest instrument must fail.

A row that no bug moves measures nothing; a bug that no row notices could be in the code today. Each
bug is looked for by the probes that `bugs` names for it, which see its damage at least cost.
"""

from engram_audio.calibration.config import SabotageSection
from engram_audio.keys.config import PcaKeys
from engram_audio.keys.quantizers import KMeans
from engram_audio.structure.config import TargetOracleKeys
from engram_audio.trust.bug import NO_BUG, SabotageRow
from engram_audio.trust.bugs import BUGS, planted_bug
from engram_audio.trust.measurement import Analysis
from engram_audio.trust.probes import make_probes


def sabotage_analysis(analysis: Analysis, codebook_size: int) -> Analysis:
    """Return the analysis cut down to what every bug must be visible in.

    One key of few cells, all frames, lags 1 and the registered one.
    """
    pca = next(family for family in analysis.families.values() if isinstance(family, PcaKeys))
    quantizer = KMeans(kind="kmeans", codebook_sizes=(codebook_size,))
    families = {
        "pca": pca.model_copy(update={"inputs": ("raw",), "quantizers": (quantizer,)}),
        "target_oracle": TargetOracleKeys(
            kind="target_oracle", codebook_sizes=(codebook_size,)
        ),
    }  # fmt: skip
    section = analysis.section.model_copy(update={"slices": ("all",)})
    keys_section = analysis.keys_section.model_copy(
        update={"kmeans_restarts": 1, "kmeans_iterations": 10}
    )
    return analysis._replace(
        section=section,
        keys_section=keys_section,
        families=families,
        keys=(f"pca.raw.kmeans_{codebook_size}",),
    )


def sabotage_rows(section: SabotageSection, analysis: Analysis) -> list[SabotageRow]:
    """Let every probe look at the honest instrument, and at each bug that is its own."""
    probes = make_probes(section, sabotage_analysis(analysis, section.codebook_size))
    rows: list[SabotageRow] = []
    for bug in (NO_BUG, *BUGS):
        for name in probes if bug == NO_BUG else BUGS[bug].probes:
            with planted_bug(bug):
                rows += [SabotageRow(bug, row) for row in probes[name]()]
    return rows
