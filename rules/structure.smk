"""Coarse keys and linear baselines: sums per speaker, for every representation and split."""

if ANALYSIS_IS_LOCAL:

    localrules:
        score_structure_keys,
        score_linear_baselines,


rule score_structure_keys:
    """Score one family of keys, or the oracle, on all slices, lags and controls."""
    input:
        settings=settings(
            "score_structure_keys",
            section="structure",
            oracle_section=PLAN.structure.oracle_section("structure.library"),
        ),
        key_file=PLAN.keys.of_family("keys"),
        splits=PLAN.latents.splits,
        shards=PLAN.latents.shards,
    output:
        scores="<results>/structure/{representation}/split-{split_seed}/{family}/scores.parquet",
        key_table="<results>/structure/{representation}/split-{split_seed}/{family}/keys.parquet",
        cells="<results>/structure/{representation}/split-{split_seed}/{family}/cells.parquet",
        curves="<results>/structure/{representation}/split-{split_seed}/{family}/curves.parquet",
        ngrams="<results>/structure/{representation}/split-{split_seed}/{family}/ngrams.parquet",
    log:
        "<logs>/structure/{representation}/split-{split_seed}/{family}.log",
    benchmark:
        "<benchmarks>/structure/{representation}/split-{split_seed}/{family}.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing("12h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.score_structure_keys {params.files} >{log:q} 2>&1"


rule score_linear_baselines:
    """Fit ridge and AR(1) predictors of delta on train speakers; score them beside white noise."""
    input:
        settings=settings("score_linear_baselines", section="structure"),
        splits=PLAN.latents.splits,
        shards=PLAN.latents.shards,
    output:
        linear="<results>/structure/{representation}/split-{split_seed}/linear.parquet",
    log:
        "<logs>/structure/{representation}/split-{split_seed}/linear.log",
    benchmark:
        "<benchmarks>/structure/{representation}/split-{split_seed}/linear.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing("6h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.score_linear_baselines {params.files} >{log:q} 2>&1"
