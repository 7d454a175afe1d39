"""Does it survive free running: forecasts, generation, and training for both."""


include: "rollout_inputs.smk"


wildcard_constraints:
    method=r"[a-z][a-z0-9_]*",


localrules:
    tabulate_rollout,


rule train_rollout:
    """Train one rollout method and its guard; an interrupted run resumes with the same bits."""
    input:
        settings=settings(
            "train_rollout",
            section="prediction",
            method_section="rollout.library.{method}",
            recipe_section=rollout_recipe,
        ),
        base_model=rollout_base,
        memory=rollout_memory,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=prediction_splits,
        shards=latent_shards,
    output:
        model="<results>/rollout/{representation}/{method}/seed-{seed}/model.safetensors",
        history="<results>/rollout/{representation}/{method}/seed-{seed}/history.jsonl",
    log:
        "<logs>/rollout/{representation}/{method}/seed-{seed}/train.log",
    benchmark:
        "<benchmarks>/rollout/{representation}/{method}/seed-{seed}/train.tsv"
    wildcard_constraints:
        method=STUDY.rollout_pattern(is_refit=False),
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
            section="prediction",
            stage_section="memory",
            method_section="rollout.library.{method}",
            tuned_section=refit_section,
            memory_section=refit_lookup,
            recipe_section=rollout_recipe,
        ),
        tuned_model=refit_tuned,
        base_model=rollout_base,
        folds=refit_folds,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=prediction_splits,
        shards=latent_shards,
    output:
        model="<results>/rollout/{representation}/{method}/seed-{seed}/model.safetensors",
        history="<results>/rollout/{representation}/{method}/seed-{seed}/history.jsonl",
    log:
        "<logs>/rollout/{representation}/{method}/seed-{seed}/refit.log",
    benchmark:
        "<benchmarks>/rollout/{representation}/{method}/seed-{seed}/refit.tsv"
    wildcard_constraints:
        method=STUDY.rollout_pattern(is_refit=True),
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
            section="prediction",
            method_section="rollout.library.{method}",
            rollout_section="rollout",
            tuned_section=refit_section,
        ),
        base_model=rollout_base,
        memory=rollout_memory,
        tuned_model=refit_tuned,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        model="<results>/rollout/{representation}/{method}/seed-{seed}/model.safetensors",
        splits=prediction_splits,
        shards=latent_shards,
    output:
        scores="<results>/rollout/{representation}/{method}/seed-{seed}/scores.parquet",
        health="<results>/rollout/{representation}/{method}/seed-{seed}/health.parquet",
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
            facts={"sweeps": rollout_sweeps()},
            rollout_section="rollout",
            bars_section="rollout.bars",
            statistics_section="statistics",
        ),
        models=rollout_files("model.safetensors"),
        scores=rollout_files("scores.parquet"),
        health=rollout_files("health.parquet"),
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
            loads=representation_code,
            data=representation_weights,
            representation_section="representations.library.{representation}",
            codec_section=codec_section,
            section="representations.extraction",
            report_section="report",
            prediction_section="prediction",
            method_section="rollout.library.{method}",
            tuned_section=refit_section,
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        model=first_rollout,
        base_model=first_rollout_base,
        memory=first_rollout_memory,
        tuned_model=first_refit_tuned,
        utterances=utterance_table,
        splits=first_splits,
        weights=codec_weights,
    output:
        players="<results>/report_assets/{representation}.rollout.{method}/players.json",
    log:
        "<logs>/report_assets/{representation}.rollout.{method}/rollouts.log",
    benchmark:
        "<benchmarks>/report_assets/{representation}.rollout.{method}/rollouts.tsv"
    wildcard_constraints:
        representation=STUDY.representation_pattern("codec"),
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
