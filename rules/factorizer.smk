"""Factorise latents into a predictable state and an innovation; export the state."""


wildcard_constraints:
    factorizer=r"[a-z][a-z0-9_]*",


localrules:
    tabulate_factorizer,
    tabulate_states,


rule train_factorizer:
    """Train one factoriser; an interrupted run resumes with the same bits."""
    input:
        settings=settings(
            "train_factorizer",
            section="prediction",
            variant_section="factorizer.library.{factorizer}",
            recipe_section=PLAN.factorizer.recipe,
            health_section="factorizer.health",
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
        decoder=PLAN.latents.decoder_weights,
    output:
        model="<results>/factorizer/{representation}/{factorizer}/seed-{seed}/model.safetensors",
        history="<results>/factorizer/{representation}/{factorizer}/seed-{seed}/history.jsonl",
    log:
        "<logs>/factorizer/{representation}/{factorizer}/seed-{seed}/train.log",
    benchmark:
        "<benchmarks>/factorizer/{representation}/{factorizer}/seed-{seed}/train.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(24000),
        runtime=growing("8h"),
    params:
        files=files,
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        "exec python -m engram_audio.steps.train_factorizer {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule evaluate_factorizer:
    """Bound the factoriser's NLL in x space, and reconstruct with parts shuffled."""
    input:
        settings=settings(
            "evaluate_factorizer",
            section="prediction",
            prediction_evaluation_section="prediction.evaluation",
            evaluation_section="factorizer.evaluation",
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        model="<results>/factorizer/{representation}/{factorizer}/seed-{seed}/model.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        scores="<results>/factorizer/{representation}/{factorizer}/seed-{seed}/scores.parquet",
    log:
        "<logs>/factorizer/{representation}/{factorizer}/seed-{seed}/evaluate.log",
    benchmark:
        "<benchmarks>/factorizer/{representation}/{factorizer}/seed-{seed}/evaluate.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=growing("4h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.evaluate_factorizer {params.files} >{log:q} 2>&1"


rule export_states:
    """Write one shard of z_dyn as a representation."""
    input:
        settings=settings("export_states", section="representations.library.{representation}"),
        model=PLAN.factorizer.state_model,
        latents=PLAN.latents.source_shard,
    output:
        state_latents="<results>/latents/{representation}/shard-{shard}.zarr.zip",
    log:
        "<logs>/latents/{representation}/export-{shard}.log",
    benchmark:
        "<benchmarks>/latents/{representation}/export-{shard}.tsv"
    wildcard_constraints:
        representation=PLAN.latents.of_kinds("state"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=growing("1h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.export_states {params.files} >{log:q} 2>&1"


rule tabulate_factorizer:
    """Publish factorisers beside the direct predictors, and the sweeps' Pareto fronts."""
    input:
        settings=settings(
            "tabulate_factorizer",
            facts={"sweeps": PLAN.factorizer.sweeps()},
            section="prediction",
            evaluation_section="prediction.evaluation",
            statistics_section="statistics",
        ),
        models=PLAN.factorizer.files("model.safetensors"),
        scores=PLAN.factorizer.files("scores.parquet"),
        direct_scores=PLAN.factorizer.direct_scores(),
        summaries=PLAN.factorizer.summaries(),
    output:
        factorizer="<results>/tables/factorizer.csv",
        factorizer_sweep="<results>/tables/factorizer_sweep.csv",
    log:
        "<logs>/factorizer/tabulate.log",
    benchmark:
        "<benchmarks>/factorizer/tabulate.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("30m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.tabulate_factorizer {params.files} >{log:q} 2>&1"


rule render_resyntheses:
    """Decode a few eval utterances from factorised latents, for the players of the report."""
    input:
        settings=settings(
            "render_resyntheses",
            kinds=("codec_section",),
            data=representation_weights,
            representation_section="representations.library.{representation}",
            codec_section=PLAN.latents.codec_section,
            section="representations.extraction",
            report_section="report",
        ),
        model=PLAN.factorizer.first_model,
        utterances=PLAN.latents.utterances,
        splits=PLAN.latents.first_splits,
        weights=PLAN.latents.codec_weights,
    output:
        players="<results>/report_assets/{representation}.{factorizer}/players.json",
    log:
        "<logs>/report_assets/{representation}.{factorizer}/resyntheses.log",
    benchmark:
        "<benchmarks>/report_assets/{representation}.{factorizer}/resyntheses.tsv"
    wildcard_constraints:
        representation=PLAN.latents.of_kinds("codec"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(4000),
        runtime=growing("1h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.render_resyntheses {params.files}"
        " --num-workers {threads} >{log:q} 2>&1"


rule tabulate_states:
    """Publish the exported z_dyn beside the latents they came from, metric by metric."""
    input:
        settings=settings("tabulate_states", facts={"sources": PLAN.factorizer.state_sources()}),
        structure="<results>/tables/structure.csv",
        linear="<results>/tables/linear.csv",
        prediction=PLAN.factorizer.state_predictions(),
        summaries=PLAN.factorizer.state_summaries(),
    output:
        factorizer_states="<results>/tables/factorizer_states.csv",
    log:
        "<logs>/factorizer/tabulate_states.log",
    benchmark:
        "<benchmarks>/factorizer/tabulate_states.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("30m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.tabulate_states {params.files} >{log:q} 2>&1"
