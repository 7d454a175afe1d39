"""The page that people read."""


localrules:
    tabulate_verdicts,
    verify_study,
    render_report,


rule tabulate_verdicts:
    """Publish what every stage answers, judged from its published tables."""
    input:
        settings=settings(
            "tabulate_verdicts",
            facts={"states": PLAN.latents.states()},
            decision_section="decision",
            bars_section="rollout.bars",
            statistics_section="statistics",
            generation_section="generation.bars",
        ),
        tables=expand("<results>/tables/{table}.csv", table=questions.judged_tables(REPORT_TABLES)),
        documents=PLAN.report.documents(),
    output:
        table=report("<results>/verdicts.csv", category="Decision"),
        document="<results>/verdicts.json",
        changes=report("<results>/what_would_change.csv", category="Decision"),
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


rule verify_study:
    """Recompute the numbers that decide, without the package."""
    input:
        settings=settings("verify_study"),
        scripts=VERIFY_SCRIPTS,
        decision="<results>/decision.json",
        tables=expand(
            "<results>/tables/{table}.csv", table=questions.verified_tables(REPORT_TABLES)
        ),
    output:
        verified="<results>/verified.json",
    log:
        "<logs>/verify_study.log",
    benchmark:
        "<benchmarks>/verify_study.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("1h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.verify_study {params.files} >{log:q} 2>&1"


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
            "<results>/what_would_change.csv",
        ],
        documents=[*PLAN.report.documents(), *PLAN.report.verified()],
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
