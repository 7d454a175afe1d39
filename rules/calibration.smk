"""Planted worlds with known answers: representations like any other."""

if ANALYSIS_IS_LOCAL:

    localrules:
        simulate_world,


rule simulate_world:
    """Simulate a planted world: its latents and its tables."""
    input:
        settings=settings("simulate_world", section="representations.library.{representation}"),
    output:
        utterances="<results>/corpus/{representation}/utterances.parquet",
        exclusions="<results>/corpus/{representation}/exclusions.parquet",
        shards="<results>/corpus/{representation}/shards.parquet",
        latents="<results>/latents/{representation}/shard-000.zarr.zip",
    log:
        "<logs>/latents/{representation}/simulate.log",
    benchmark:
        "<benchmarks>/latents/{representation}/simulate.tsv"
    wildcard_constraints:
        representation=PLAN.latents.of_kinds("world"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("30m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.simulate_world {params.files} >{log:q} 2>&1"
