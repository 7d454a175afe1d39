"""Latents of codecs, surrogates of any representation, arrays that a user brings."""

from engram_audio.latents.config import VAR_TWINS

if ANALYSIS_IS_LOCAL:

    localrules:
        make_surrogate,
        fit_var,
        simulate_var,
        index_arrays,
        import_arrays,
        summarize_latents,


rule extract_latents:
    """Encode one shard; an interrupted job goes on where it stopped."""
    input:
        settings=settings(
            "extract_latents",
            kinds=("codec_section",),
            data=representation_weights,
            representation_section="representations.library.{representation}",
            codec_section=PLAN.latents.codec_section,
            section="representations.extraction",
        ),
        utterances=PLAN.latents.utterances,
        shards=PLAN.latents.shard_table,
        weights=PLAN.latents.codec_weights,
        checked=once(PLAN.checked_of_representation),
    output:
        latents="<results>/latents/{representation}/shard-{shard}.zarr.zip",
    log:
        "<logs>/latents/{representation}/extract-{shard}.log",
    benchmark:
        "<benchmarks>/latents/{representation}/extract-{shard}.tsv"
    wildcard_constraints:
        representation=PLAN.latents.of_kinds("codec"),
    conda:
        "../envs/engram.yaml"
    threads: 2
    resources:
        mem_mb=growing(8000),
        runtime=growing("4h"),
        gpu=1,
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.extract_latents {params.files}"
        " --num-workers {threads} >{log:q} 2>&1"


rule make_surrogate:
    """Shuffle the frames of one shard, or randomise their phases."""
    input:
        settings=settings("make_surrogate", section="representations.surrogates"),
        latents="<results>/latents/{representation}/shard-{shard}.zarr.zip",
    output:
        surrogate_latents="<results>/latents/{representation}--{surrogate}/shard-{shard}.zarr.zip",
    log:
        "<logs>/latents/{representation}--{surrogate}/make-{shard}.log",
    benchmark:
        "<benchmarks>/latents/{representation}--{surrogate}/make-{shard}.tsv"
    wildcard_constraints:
        representation=r"[a-z][a-z0-9_]*",
        surrogate="shuffled|phase_randomized",
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("1h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.make_surrogate {params.files} >{log:q} 2>&1"


rule fit_var:
    """Fit the VAR(p) twins of a representation on train utterances only."""
    input:
        settings=settings("fit_var", section="representations.surrogates"),
        splits=PLAN.latents.first_splits,
        latents=PLAN.latents.shards,
    output:
        model="<results>/latents/{representation}/var.safetensors",
    log:
        "<logs>/latents/{representation}/fit_var.log",
    benchmark:
        "<benchmarks>/latents/{representation}/fit_var.tsv"
    wildcard_constraints:
        representation=r"[a-z][a-z0-9_]*",
    conda:
        "../envs/engram.yaml"
    threads: 2
    resources:
        mem_mb=growing(8000),
        runtime=growing("4h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.fit_var {params.files} >{log:q} 2>&1"


rule simulate_var:
    """Simulate one shard of a VAR(p) twin: Gaussian, or with resampled residuals."""
    input:
        settings=settings("simulate_var", section="representations.surrogates"),
        model="<results>/latents/{representation}/var.safetensors",
        latents="<results>/latents/{representation}/shard-{shard}.zarr.zip",
    output:
        surrogate_latents="<results>/latents/{representation}--{surrogate}/shard-{shard}.zarr.zip",
    log:
        "<logs>/latents/{representation}--{surrogate}/simulate-{shard}.log",
    benchmark:
        "<benchmarks>/latents/{representation}--{surrogate}/simulate-{shard}.tsv"
    wildcard_constraints:
        representation=r"[a-z][a-z0-9_]*",
        surrogate="|".join(VAR_TWINS),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("1h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.simulate_var {params.files} >{log:q} 2>&1"


rule index_arrays:
    """Check the arrays that a user brings and deal them to shards."""
    input:
        settings=settings(
            "index_arrays", data=array_stamp, section="representations.library.{representation}"
        ),
        table=PLAN.latents.array_table,
    output:
        utterances="<results>/corpus/{representation}/utterances.parquet",
        exclusions="<results>/corpus/{representation}/exclusions.parquet",
        shards="<results>/corpus/{representation}/shards.parquet",
    log:
        "<logs>/corpus/{representation}/index_arrays.log",
    benchmark:
        "<benchmarks>/corpus/{representation}/index_arrays.tsv"
    wildcard_constraints:
        representation=PLAN.latents.of_kinds("arrays"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("4h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.index_arrays {params.files} >{log:q} 2>&1"


rule import_arrays:
    """Write one shard of the arrays that a user brings."""
    input:
        settings=settings(
            "import_arrays", data=array_stamp, section="representations.library.{representation}"
        ),
        table=PLAN.latents.array_table,
        shards="<results>/corpus/{representation}/shards.parquet",
        checked=once(PLAN.checked_of_representation),
    output:
        latents="<results>/latents/{representation}/shard-{shard}.zarr.zip",
    log:
        "<logs>/latents/{representation}/import-{shard}.log",
    benchmark:
        "<benchmarks>/latents/{representation}/import-{shard}.tsv"
    wildcard_constraints:
        representation=PLAN.latents.of_kinds("arrays"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("2h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.import_arrays {params.files} >{log:q} 2>&1"


rule summarize_latents:
    """Count, average and correlate the latents of a representation."""
    input:
        settings=settings("summarize_latents"),
        latents=PLAN.latents.shards,
    output:
        summary="<results>/latents/{representation}/summary.json",
    log:
        "<logs>/latents/{representation}/summarize.log",
    benchmark:
        "<benchmarks>/latents/{representation}/summarize.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("1h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.summarize_latents {params.files} >{log:q} 2>&1"


rule render_round_trips:
    """Decode a few eval utterances again, for the players of the report."""
    input:
        settings=settings(
            "render_round_trips",
            kinds=("codec_section",),
            data=representation_weights,
            representation_section="representations.library.{representation}",
            codec_section=PLAN.latents.codec_section,
            section="representations.extraction",
            report_section="report",
        ),
        utterances=PLAN.latents.utterances,
        splits=PLAN.latents.first_splits,
        weights=PLAN.latents.codec_weights,
    output:
        players="<results>/report_assets/{representation}/players.json",
    log:
        "<logs>/report_assets/{representation}/round_trips.log",
    benchmark:
        "<benchmarks>/report_assets/{representation}/round_trips.tsv"
    wildcard_constraints:
        representation=PLAN.latents.of_kinds("codec"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("1h"),
        gpu=1,
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.render_round_trips {params.files}"
        " --num-workers {threads} >{log:q} 2>&1"
