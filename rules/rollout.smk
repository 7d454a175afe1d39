"""Does it survive free running: forecasts, generation, and training for both."""


include: "rollout_inputs.smk"


wildcard_constraints:
    method=r"[a-z][a-z0-9_]*",


localrules:
    tabulate_rollout,


rule train_rollout:
    """Train one rollout method and its guard; an interrupted run resumes with the same bits."""
    input:
        section="<results>/config/prediction.json",
        method_section="<results>/config/rollout_runs.{method}.json",
        recipe_section=rollout_recipe,
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
        code=step_code("train_rollout"),
        recipe=rollout_recipe_option,
        base=rollout_base_option,
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        r"""
        exec python -m engram_audio.steps.train_rollout --device auto \
            --section {input.section:q} --method-section {input.method_section:q} \
            {params.recipe} {params.base} --nulls {input.nulls:q} \
            --splits {input.splits:q} --shards {input.shards:q} \
            --seed {wildcards.seed:q} --tensorboard {log:q}.tensorboard \
            --model {output.model:q} --history {output.history:q} >{log:q} 2>&1
        """


rule refit_memory:
    """Fit a lookup anew on a tuned head, folds of speakers held out; an interrupted run resumes."""
    input:
        section="<results>/config/prediction.json",
        stage_section="<results>/config/memory.json",
        method_section="<results>/config/rollout_runs.{method}.json",
        tuned_section=refit_section,
        memory_section=refit_lookup,
        recipe_section=rollout_recipe,
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
    params:
        code=step_code("refit_memory"),
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        r"""
        exec python -m engram_audio.steps.refit_memory --device auto \
            --section {input.section:q} --stage-section {input.stage_section:q} \
            --method-section {input.method_section:q} --tuned-section {input.tuned_section:q} \
            --memory-section {input.memory_section:q} --recipe-section {input.recipe_section:q} \
            --tuned-model {input.tuned_model:q} --base-model {input.base_model:q} \
            --folds {input.folds:q} --nulls {input.nulls:q} \
            --splits {input.splits:q} --shards {input.shards:q} \
            --seed {wildcards.seed:q} --tensorboard {log:q}.tensorboard \
            --model {output.model:q} --history {output.history:q} >{log:q} 2>&1
        """


rule evaluate_rollout:
    """Run one method free from eval starts; score its forecasts and the health of its runs."""
    input:
        section="<results>/config/prediction.json",
        method_section="<results>/config/rollout_runs.{method}.json",
        rollout_section="<results>/config/rollout.json",
        base_model=rollout_base,
        memory=rollout_memory,
        tuned_model=refit_tuned,
        tuned_section=refit_section,
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
        code=step_code("evaluate_rollout"),
        base=rollout_base_option,
    shell:
        r"""
        python -m engram_audio.steps.evaluate_rollout --device auto \
            --section {input.section:q} --method-section {input.method_section:q} \
            --rollout-section {input.rollout_section:q} {params.base} \
            --nulls {input.nulls:q} --model {input.model:q} \
            --splits {input.splits:q} --shards {input.shards:q} --seed {wildcards.seed:q} \
            --scores {output.scores:q} --health {output.health:q} >{log:q} 2>&1
        """


rule tabulate_rollout:
    """Publish every rollout method beside what is attainable, and the sweep's Pareto front."""
    input:
        rollout_section="<results>/config/rollout.json",
        bars_section="<results>/config/rollout_bars.json",
        statistics_section="<results>/config/statistics.json",
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
        code=step_code("tabulate_rollout"),
        sweeps=rollout_sweep_points(),
    shell:
        r"""
        python -m engram_audio.steps.tabulate_rollout \
            --rollout-section {input.rollout_section:q} \
            --bars-section {input.bars_section:q} \
            --statistics-section {input.statistics_section:q} \
            --models {input.models:q} --scores {input.scores:q} --health {input.health:q} \
            --sweeps {params.sweeps:q} \
            --rollout {output.rollout:q} --rollout-sweep {output.rollout_sweep:q} \
            >{log:q} 2>&1
        """


rule render_rollouts:
    """Decode free-running audio, for the players of the report."""
    input:
        representation_section="<results>/config/representations.{representation}.json",
        codec_section=codec_section,
        section="<results>/config/latents.extraction.json",
        report_section="<results>/config/report.json",
        prediction_section="<results>/config/prediction.json",
        method_section="<results>/config/rollout_runs.{method}.json",
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        model=first_rollout,
        base_model=first_rollout_base,
        memory=first_rollout_memory,
        tuned_model=first_refit_tuned,
        tuned_section=refit_section,
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
        code=rollout_player_code,
        base=rollout_base_option,
    shell:
        r"""
        python -m engram_audio.steps.render_rollouts --device auto \
            --representation-section {input.representation_section:q} \
            --codec-section {input.codec_section:q} --section {input.section:q} \
            --report-section {input.report_section:q} \
            --prediction-section {input.prediction_section:q} \
            --method-section {input.method_section:q} --nulls {input.nulls:q} \
            --model {input.model:q} {params.base} \
            --utterances {input.utterances:q} --splits {input.splits:q} \
            --weights {input.weights:q} --players {output.players:q} \
            --representation {wildcards.representation:q} \
            --method {wildcards.method:q} --num-workers {threads} >{log:q} 2>&1
        """
