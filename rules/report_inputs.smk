"""Input functions of the report rule."""

from snakemake.io import regex_from_filepattern

# Relative, so that a moved checkout reruns nothing.
TEMPLATES = os.path.relpath(os.path.join(workflow.basedir, "report_templates"))
REPORT_TABLES = [
    "structure",
    "linear",
    "curves",
    "ngrams",
    "speakers",
    "corpus",
    "exclusions",
]
if STUDY.prediction_runs():
    REPORT_TABLES += [
        "prediction",
        "worst_frames",
        "prediction_calibration",
        "prediction_rollout",
    ]

if STUDY.factorizer_runs():
    REPORT_TABLES += ["factorizer", "factorizer_sweep"]

if STUDY.exported_states():
    REPORT_TABLES += ["factorizer_states"]

if STUDY.memory_runs():
    REPORT_TABLES += ["memory", "memory_verdict"]

if STUDY.compared():
    REPORT_TABLES += ["codecs", "frontier"]

if STUDY.rollout_runs():
    REPORT_TABLES += ["rollout", "rollout_sweep"]

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


def report_latents(wildcards) -> list[str]:
    """Latent summaries and, where a codec decodes, round trips, resyntheses and free runs to hear."""
    rows = [(name, STUDY.config.representations[name]) for name in STUDY.study_bases()]
    players = [
        f"<results>/report_assets/{name}/players.json"
        for name, row in rows
        if row.kind == "codec" and STUDY.config.report.num_players
    ]
    players += resynthesized() + rolled_out()
    return [f"<results>/latents/{name}/summary.json" for name, _ in rows] + players


def rule_benchmarks(wildcards) -> list[str]:
    """Regular expression of each rule's benchmark files, as `<rule>=<expression>`.

    A rule whose wildcards match nothing in this study is left out.
    """
    return [
        f"{item.name}={regex_from_filepattern(item.benchmark)}"
        for item in workflow.rules
        if item.benchmark and item.name != "render_report" and "(?!)" not in str(item.benchmark)
    ]
