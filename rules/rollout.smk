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
        mem_mb=24000,
        runtime="8h",
    params:
        base=rollout_base_option,
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        r"""
        exec python -m engram_audio.steps.train_rollout --device auto --settings {input.settings:q} \
            {params.base} --nulls {input.nulls:q} \
            --splits {input.splits:q} --shards {input.shards:q} \
            --tensorboard {log:q}.tensorboard \
            --model {output.model:q} --history {output.history:q} >{log:q} 2>&1
        """


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
        mem_mb=24000,
        runtime="8h",
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        r"""
        exec python -m engram_audio.steps.refit_memory --device auto --settings {input.settings:q} \
            --tuned-model {input.tuned_model:q} --base-model {input.base_model:q} \
            --folds {input.folds:q} --nulls {input.nulls:q} \
            --splits {input.splits:q} --shards {input.shards:q} \
            --tensorboard {log:q}.tensorboard \
            --model {output.model:q} --history {output.history:q} >{log:q} 2>&1
        """


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
        mem_mb=16000,
        runtime="4h",
    params:
        base=rollout_base_option,
    shell:
        r"""
        python -m engram_audio.steps.evaluate_rollout --device auto --settings {input.settings:q} \
            {params.base} \
            --nulls {input.nulls:q} --model {input.model:q} \
            --splits {input.splits:q} --shards {input.shards:q} \
            --scores {output.scores:q} --health {output.health:q} >{log:q} 2>&1
        """


rule tabulate_rollout:
    """Publish every rollout method beside what is attainable, and the sweep's Pareto front."""
    input:
        settings=settings(
            "tabulate_rollout",
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
        mem_mb=4000,
        runtime="30m",
    params:
        sweeps=rollout_sweep_points(),
    shell:
        r"""
        python -m engram_audio.steps.tabulate_rollout --settings {input.settings:q} \
            --models {input.models:q} --scores {input.scores:q} --health {input.health:q} \
            --sweeps {params.sweeps:q} \
            --rollout {output.rollout:q} --rollout-sweep {output.rollout_sweep:q} \
            >{log:q} 2>&1
        """


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
        mem_mb=4000,
        runtime="1h",
    params:
        base=rollout_base_option,
    shell:
        r"""
        python -m engram_audio.steps.render_rollouts --device auto --settings {input.settings:q} \
            --nulls {input.nulls:q} \
            --model {input.model:q} {params.base} \
            --utterances {input.utterances:q} --splits {input.splits:q} \
            --weights {input.weights:q} --players {output.players:q} \
            --num-workers {threads} >{log:q} 2>&1
        """
