"""The page that people read."""


include: "report_inputs.smk"


localrules:
    tabulate_verdicts,
    render_report,
    write_first_results,


rule tabulate_verdicts:
    """Publish what every stage answers, judged from its published tables."""
    input:
        settings=settings(
            "tabulate_verdicts", decision_section="decision", bars_section="rollout_bars"
        ),
        tables=expand("<results>/tables/{table}.csv", table=JUDGED_TABLES),
        documents=report_documents(),
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
        mem_mb=2000,
        runtime="10m",
    shell:
        r"""
        python -m engram_audio.steps.tabulate_verdicts --settings {input.settings:q} \
            --tables {input.tables:q} --documents {input.documents:q} \
            --table {output.table:q} --document {output.document:q} \
            >{log:q} 2>&1
        """


rule render_report:
    """Render the decision report from the published tables."""
    input:
        settings=settings("render_report", section="report", config_sections=STUDY.section_names()),
        tables=[
            *expand("<results>/tables/{table}.csv", table=REPORT_TABLES),
            "<results>/verdicts.csv",
        ],
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
        mem_mb=2000,
        runtime="30m",
    params:
        benchmarks=STUDY.config.pathvars.benchmarks,
        rule_benchmarks=rule_benchmarks,
    shell:
        r"""
        python -m engram_audio.steps.render_report --settings {input.settings:q} \
            --tables {input.tables:q} --documents {input.documents:q} \
            --cells {input.cells:q} --latents {input.latents:q} \
            --templates {input.templates:q} --benchmarks {params.benchmarks:q} \
            --rule-benchmarks {params.rule_benchmarks:q} \
            --report {output.report:q} \
            >{log:q} 2>&1
        """


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
        mem_mb=500,
        runtime="10m",
    shell:
        r"""
        python -m engram_audio.steps.write_first_results --settings {input.settings:q} \
            --published {input.published:q} \
            --document {output.document:q} \
            >{log:q} 2>&1
        """
