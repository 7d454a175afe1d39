"""Input functions of the report rule."""

from snakemake.io import regex_from_filepattern

# Relative, so that a moved checkout reruns nothing.
TEMPLATES = os.path.relpath(os.path.join(workflow.basedir, "report_templates"))
RENDERERS = ("render_report", "render_question")  # a page does not time pages
REPORT_TABLES = [
    table for name in questions.QUESTIONS for table in questions.published(STUDY, name)
]
if STUDY.calibration_worlds():
    REPORT_TABLES += ["calibration"]


def report_documents() -> list[str]:
    """The decision and, where worlds are configured, the calibration."""
    names = ["decision", "calibration"] if STUDY.calibration_worlds() else ["decision"]
    return [f"<results>/{name}.json" for name in names]


def report_templates(wildcards) -> list[str]:
    """Page, partials, style and script."""
    found = []
    for folder, _, names in sorted(os.walk(TEMPLATES)):
        found += [
            os.path.join(folder, name)
            for name in sorted(names)
            if name.endswith((".j2", ".css", ".js"))
        ]
    return found


def report_cells(wildcards) -> list[str]:
    """Cells of the registered keys, first split of each base representation."""
    families = sorted({key.split(".")[0] for key in STUDY.config.decision.keys})
    return [
        f"<results>/structure/{name}/split-{STUDY.split_seeds(name)[0]}/{family}/cells.parquet"
        for name in STUDY.study_bases()
        for family in families
    ]


def report_summaries() -> list[str]:
    """Latent summaries of all base representations."""
    return [f"<results>/latents/{name}/summary.json" for name in STUDY.study_bases()]


def report_latents(wildcards) -> list[str]:
    """Latent summaries and, where a codec decodes, round trips, resyntheses and free runs to hear."""
    rows = [(name, STUDY.config.representations.library[name]) for name in STUDY.study_bases()]
    players = [
        f"<results>/report_assets/{name}/players.json"
        for name, row in rows
        if row.kind == "codec" and STUDY.config.report.num_players
    ]
    players += resynthesized() + rolled_out()
    return report_summaries() + players


def rule_benchmarks() -> dict[str, str]:
    """Regular expression of each rule's benchmark files.

    A rule whose wildcards match nothing in this study is left out.
    """
    return {
        item.name: regex_from_filepattern(item.benchmark)
        for item in workflow.rules
        if item.benchmark and item.name not in RENDERERS and "(?!)" not in str(item.benchmark)
    }
