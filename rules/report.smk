"""The page that people read."""

from snakemake.io import regex_from_filepattern

from engram_audio.report.section_modules import section_modules

# Relative, so that a moved checkout reruns nothing.
TEMPLATES = os.path.relpath(os.path.join(workflow.basedir, "report_templates"))
RENDERERS = ("render_report", "render_question")  # a page does not time pages
REPORT_TABLES = questions.tables_of_report(PLAN)


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


def section_code(wildcards) -> tuple[tuple[str, ...], str]:
    """The modules of the page's sections, which are found and not named."""
    return section_modules(), ""


def rule_benchmarks() -> dict[str, str]:
    """Regular expression of each rule's benchmark files, without rules that this study never runs."""
    idle = {*RENDERERS, *PLAN.idle_rules()}
    return {
        item.name: regex_from_filepattern(item.benchmark)
        for item in workflow.rules
        if item.benchmark and item.name not in idle and "(?!)" not in str(item.benchmark)
    }


localrules:
    tabulate_verdicts,
    render_report,


rule tabulate_verdicts:
    """Publish what every stage answers, judged from its published tables."""
    input:
        settings=settings(
            "tabulate_verdicts", decision_section="decision", bars_section="rollout.bars"
        ),
        tables=expand("<results>/tables/{table}.csv", table=questions.judged_tables(REPORT_TABLES)),
        documents=PLAN.report.documents(),
    output:
        table=report("<results>/verdicts.csv", category="Decision"),
        document="<results>/verdicts.json",
    log:
        "<logs>/verdicts.log",
    benchmark:
        "<benchmarks>/verdicts.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("10m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.tabulate_verdicts {params.files} >{log:q} 2>&1"


rule render_report:
    """Render the decision report from the published tables."""
    input:
        settings=settings(
            "render_report",
            facts={
                "benchmarks": PLAN.config.pathvars.benchmarks,
                "rule_benchmarks": rule_benchmarks,
            },
            loads=section_code,
            section="report",
            config_sections=PLAN.section_names(),
        ),
        tables=[
            *expand("<results>/tables/{table}.csv", table=REPORT_TABLES),
            "<results>/verdicts.csv",
        ],
        documents=PLAN.report.documents(),
        cells=PLAN.structure.cells(),
        latents=PLAN.report.latents(),
        templates=report_templates,
    output:
        report=report(
            "<results>/report.html",
            caption="../report_templates/captions/report.rst",
            category="Decision",
        ),
    log:
        "<logs>/render_report.log",
    benchmark:
        "<benchmarks>/render_report.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("30m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.render_report {params.files} >{log:q} 2>&1"
