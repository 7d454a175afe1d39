"""From per-speaker sums to published tables and the verdict."""


include: "decision_inputs.smk"


localrules:
    tabulate_structure,
    tabulate_corpus,
    decide,


rule tabulate_structure:
    """Publish ratios, floors, surrogates, controls and nulls with speaker intervals."""
    input:
        settings=settings("tabulate_structure", section="statistics"),
        scores=structure_tables("scores"),
        key_table=structure_tables("keys"),
        curves=structure_tables("curves"),
        ngrams=structure_tables("ngrams"),
        linear=linear_tables(),
        summaries=latent_summaries(),
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
            facts={"corpora": {name: STUDY.corpus_of(name) for name in STUDY.representations()}},
        ),
        utterances=corpus_tables("utterances"),
        exclusions=corpus_tables("exclusions"),
        splits=split_tables(),
        summaries=latent_summaries(),
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
    """Judge the published numbers by both gates."""
    input:
        settings=settings("decide", section="decision", statistics="statistics"),
        structure="<results>/tables/structure.csv",
        linear="<results>/tables/linear.csv",
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
