"""The page that people read."""


include: "report_inputs.smk"


localrules:
    render_report,


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
