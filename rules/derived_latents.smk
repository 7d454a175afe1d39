"""Representations made of others: at a lower frame rate, or through a channel that adds noise."""

if ANALYSIS_IS_LOCAL:

    localrules:
        resample_latents,
        fit_noise_scale,
        add_noise,


rule resample_latents:
    """Group the frames of one shard of another representation."""
    input:
        settings=settings("resample_latents", section="representations.library.{representation}"),
        latents=PLAN.latents.source_shard,
    output:
        resampled_latents="<results>/latents/{representation}/shard-{shard}.zarr.zip",
    log:
        "<logs>/latents/{representation}/resample-{shard}.log",
    benchmark:
        "<benchmarks>/latents/{representation}/resample-{shard}.tsv"
    wildcard_constraints:
        representation=PLAN.latents.of_kinds("resampled"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("1h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.resample_latents {params.files} >{log:q} 2>&1"


rule fit_noise_scale:
    """Measure the train SD that a channel's noise is a share of, and its capacity."""
    input:
        settings=settings("fit_noise_scale", section="representations.library.{representation}"),
        splits=PLAN.latents.first_splits,
        latents=PLAN.latents.source_shards,
    output:
        scale="<results>/latents/{representation}/noise_scale.safetensors",
    log:
        "<logs>/latents/{representation}/fit_noise_scale.log",
    benchmark:
        "<benchmarks>/latents/{representation}/fit_noise_scale.tsv"
    wildcard_constraints:
        representation=PLAN.latents.of_kinds("noisy"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("1h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.fit_noise_scale {params.files} >{log:q} 2>&1"


rule add_noise:
    """Send one shard of another representation through a noisy channel."""
    input:
        settings=settings("add_noise", section="representations.library.{representation}"),
        scale="<results>/latents/{representation}/noise_scale.safetensors",
        latents=PLAN.latents.source_shard,
    output:
        noisy_latents="<results>/latents/{representation}/shard-{shard}.zarr.zip",
    log:
        "<logs>/latents/{representation}/add_noise-{shard}.log",
    benchmark:
        "<benchmarks>/latents/{representation}/add_noise-{shard}.tsv"
    wildcard_constraints:
        representation=PLAN.latents.of_kinds("noisy"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("1h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.add_noise {params.files} >{log:q} 2>&1"
