"""Does it survive free running: forecasts, generation, and training for both."""


wildcard_constraints:
    method=r"[a-z][a-z0-9_]*",


localrules:
    tabulate_rollout,


rule train_rollout:
    """Train one rollout method and its guard; an interrupted run resumes with the same bits."""
    input:
        settings=settings(
            "train_rollout",
            kinds=("method_section",),
            section="prediction",
            method_section="rollout.library.{method}",
            recipe_section=PLAN.rollout.recipe,
        ),
        base_model=PLAN.rollout.base_model,
        memory=PLAN.rollout.memory,
        key_file=PLAN.rollout.guard_keys,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        model="<results>/rollout/{representation}/{method}/seed-{seed}/model.safetensors",
        history="<results>/rollout/{representation}/{method}/seed-{seed}/history.jsonl",
    log:
        "<logs>/rollout/{representation}/{method}/seed-{seed}/train.log",
    benchmark:
        "<benchmarks>/rollout/{representation}/{method}/seed-{seed}/train.tsv"
    wildcard_constraints:
        method=PLAN.rollout.refitted(is_refit=False),
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
        "exec python -m engram_audio.steps.train_rollout {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule refit_memory:
    """Fit a lookup anew on a tuned head, folds of speakers held out; an interrupted run resumes."""
    input:
        settings=settings(
            "refit_memory",
            kinds=("tuned_section", "memory_section"),
            section="prediction",
            stage_section="memory",
            method_section="rollout.library.{method}",
            tuned_section=PLAN.rollout.tuned_section,
            memory_section=PLAN.rollout.refit_lookup,
            recipe_section=PLAN.rollout.recipe,
        ),
        tuned_model=PLAN.rollout.tuned_model,
        base_model=PLAN.rollout.base_model,
        folds=PLAN.rollout.refit_folds,
        key_file=PLAN.rollout.refit_keys,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        model="<results>/rollout/{representation}/{method}/seed-{seed}/model.safetensors",
        history="<results>/rollout/{representation}/{method}/seed-{seed}/history.jsonl",
    log:
        "<logs>/rollout/{representation}/{method}/seed-{seed}/refit.log",
    benchmark:
        "<benchmarks>/rollout/{representation}/{method}/seed-{seed}/refit.tsv"
    wildcard_constraints:
        method=PLAN.rollout.refitted(is_refit=True),
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
        "exec python -m engram_audio.steps.refit_memory {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule evaluate_rollout:
    """Run one method free from eval starts; score its forecasts and the health of its runs."""
    input:
        settings=settings(
            "evaluate_rollout",
            kinds=("method_section", "tuned_section"),
            section="prediction",
            method_section="rollout.library.{method}",
            rollout_section="rollout",
            tuned_section=PLAN.rollout.tuned_section,
        ),
        base_model=PLAN.rollout.base_model,
        memory=PLAN.rollout.memory,
        tuned_model=PLAN.rollout.tuned_model,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        model="<results>/rollout/{representation}/{method}/seed-{seed}/model.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        scores="<results>/rollout/{representation}/{method}/seed-{seed}/scores.parquet",
        health="<results>/rollout/{representation}/{method}/seed-{seed}/health.parquet",
        differences="<results>/rollout/{representation}/{method}/seed-{seed}/differences.parquet",
    log:
        "<logs>/rollout/{representation}/{method}/seed-{seed}/evaluate.log",
    benchmark:
        "<benchmarks>/rollout/{representation}/{method}/seed-{seed}/evaluate.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(16000),
        runtime=growing("4h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.evaluate_rollout {params.files} >{log:q} 2>&1"


rule tabulate_rollout:
    """Publish every rollout method beside what is attainable, and the sweep's Pareto front."""
    input:
        settings=settings(
            "tabulate_rollout",
            facts={"sweeps": PLAN.rollout.sweeps()},
            rollout_section="rollout",
            bars_section="rollout.bars",
            statistics_section="statistics",
        ),
        models=PLAN.rollout.files("model.safetensors"),
        scores=PLAN.rollout.files("scores.parquet"),
        health=PLAN.rollout.files("health.parquet"),
        differences=PLAN.rollout.files("differences.parquet"),
    output:
        rollout="<results>/tables/rollout.csv",
        rollout_sweep="<results>/tables/rollout_sweep.csv",
    log:
        "<logs>/rollout/tabulate.log",
    benchmark:
        "<benchmarks>/rollout/tabulate.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("30m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.tabulate_rollout {params.files} >{log:q} 2>&1"


rule render_rollouts:
    """Decode free-running audio, for the players of the report."""
    input:
        settings=settings(
            "render_rollouts",
            kinds=("codec_section", "method_section", "tuned_section"),
            data=representation_weights,
            representation_section="representations.library.{representation}",
            codec_section=PLAN.latents.codec_section,
            section="representations.extraction",
            report_section="report",
            prediction_section="prediction",
            method_section="rollout.library.{method}",
            tuned_section=PLAN.rollout.tuned_section,
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        model=PLAN.rollout.model,
        base_model=PLAN.rollout.base_model,
        memory=PLAN.rollout.memory,
        tuned_model=PLAN.rollout.tuned_model,
        utterances=PLAN.latents.utterances,
        splits=PLAN.latents.first_splits,
        weights=PLAN.latents.codec_weights,
    output:
        players="<results>/report_assets/{representation}.rollout.{method}/players.json",
    log:
        "<logs>/report_assets/{representation}.rollout.{method}/rollouts.log",
    benchmark:
        "<benchmarks>/report_assets/{representation}.rollout.{method}/rollouts.tsv"
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
        "python -m engram_audio.steps.render_rollouts {params.files}"
        " --num-workers {threads} >{log:q} 2>&1"
