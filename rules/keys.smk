"""Keys: fitted once for a representation and a split, read by structure, memory and rollout."""

if ANALYSIS_IS_LOCAL:

    localrules:
        fit_keys,


rule fit_keys:
    """Fit all keys of one family on train speakers."""
    input:
        settings=settings(
            "fit_keys",
            facts={"lags": PLAN.keys.fitted_at(PLAN.keys.lags)},
            section="keys",
            family_section="keys.library.{family}",
        ),
        splits=PLAN.latents.splits,
        shards=PLAN.latents.shards,
    output:
        key_file="<results>/keys/{representation}/split-{split_seed}/{family}.safetensors",
    log:
        "<logs>/keys/{representation}/split-{split_seed}/{family}.log",
    benchmark:
        "<benchmarks>/keys/{representation}/split-{split_seed}/{family}.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing("6h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.fit_keys {params.files} >{log:q} 2>&1"
