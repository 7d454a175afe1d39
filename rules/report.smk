"""The page that people read."""


include: "report_inputs.smk"


localrules:
    render_report,
    write_first_results,


rule render_report:
    """Render the decision report from the published tables."""
    input:
        settings=settings(
            "render_report",
            facts={
                "benchmarks": STUDY.config.pathvars.benchmarks,
                "rule_benchmarks": rule_benchmarks,
            },
            section="report",
            config_sections=STUDY.section_names(),
        ),
        tables=expand("<results>/tables/{table}.csv", table=REPORT_TABLES),
        documents=report_documents(),
        cells=report_cells,
        latents=report_latents,
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


rule write_first_results:
    """Set the first experiment's published numbers beside what known processes score."""
    input:
        settings=settings("write_first_results"),
        published=PUBLISHED_RESULTS,
    output:
        document="docs/first-results.md",
    log:
        "<logs>/write_first_results.log",
    benchmark:
        "<benchmarks>/write_first_results.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing("10m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.write_first_results {params.files} >{log:q} 2>&1"
