"""From per-speaker sums to published tables and the verdict."""


localrules:
    tabulate_structure,
    tabulate_corpus,
    decide,


rule tabulate_structure:
    """Publish ratios, floors, surrogates, controls and nulls with speaker intervals."""
    input:
        settings=settings("tabulate_structure", section="statistics"),
        scores=PLAN.structure.tables("scores"),
        key_table=PLAN.structure.tables("keys"),
        curves=PLAN.structure.tables("curves"),
        ngrams=PLAN.structure.tables("ngrams"),
        linear=PLAN.structure.linear_tables(),
        summaries=PLAN.latents.summaries(),
    output:
        structure_table=report("<results>/tables/structure.csv", category="Tables"),
        linear_table=report("<results>/tables/linear.csv", category="Tables"),
        curves_table=report("<results>/tables/curves.csv", category="Tables"),
        ngrams_table=report("<results>/tables/ngrams.csv", category="Tables"),
        speakers_table=report("<results>/tables/speakers.csv", category="Tables"),
    log:
        "<logs>/tables/structure.log",
    benchmark:
        "<benchmarks>/tables/structure.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing("1h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.tabulate_structure {params.files} >{log:q} 2>&1"


rule tabulate_corpus:
    """Publish what went in, and what was left out and why."""
    input:
        settings=settings(
            "tabulate_corpus",
            facts={"corpora": PLAN.latents.corpora_by_name()},
        ),
        utterances=PLAN.latents.corpus_tables("utterances"),
        exclusions=PLAN.latents.corpus_tables("exclusions"),
        splits=PLAN.latents.split_tables(),
        summaries=PLAN.latents.summaries(),
    output:
        corpus_table=report("<results>/tables/corpus.csv", category="Tables"),
        exclusions_table=report("<results>/tables/exclusions.csv", category="Tables"),
    log:
        "<logs>/tables/corpus.log",
    benchmark:
        "<benchmarks>/tables/corpus.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("30m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.tabulate_corpus {params.files} >{log:q} 2>&1"


rule decide:
    """Judge the structure tables by themselves, before any head is asked."""
    input:
        settings=settings(
            "decide",
            facts={"overlaps": PLAN.overlaps()},
            section="decision",
            statistics="statistics",
        ),
        structure="<results>/tables/structure.csv",
        linear="<results>/tables/linear.csv",
        summaries=PLAN.latents.summaries(PLAN.latents.bases()),
    output:
        decision="<results>/decision.json",
    log:
        "<logs>/decision.log",
    benchmark:
        "<benchmarks>/decision.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("10m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.decide {params.files} >{log:q} 2>&1"
