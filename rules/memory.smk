"""Lookup memories beside predictors, and the controls that say whether the lookup helps."""


include: "memory_inputs.smk"


wildcard_constraints:
    base=r"[a-z][a-z0-9_]*",
    memory=r"[a-z][a-z0-9_]*",
    fold=r"\d+",


localrules:
    tabulate_memory,


rule train_fold_density:
    """Train a head without one fold of speakers; an interrupted run resumes."""
    input:
        section="<results>/config/prediction.json",
        memory_section="<results>/config/memory.json",
        head_section="<results>/config/prediction_heads.{head}.json",
        recipe_section=fold_recipe,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=prediction_splits,
        shards=latent_shards,
    output:
        model="<results>/memory/{representation}/lag-{lag}/folds/{head}/seed-{seed}/fold-{fold}.safetensors",
    log:
        "<logs>/memory/{representation}/lag-{lag}/folds/{head}/seed-{seed}/fold-{fold}.log",
    benchmark:
        "<benchmarks>/memory/{representation}/lag-{lag}/folds/{head}/seed-{seed}/fold-{fold}.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=24000,
        runtime="8h",
    params:
        code=step_code("train_fold_density"),
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        r"""
        exec python -m engram_audio.steps.train_fold_density --device auto \
            --section {input.section:q} --memory-section {input.memory_section:q} \
            --head-section {input.head_section:q} --recipe-section {input.recipe_section:q} \
            --nulls {input.nulls:q} --splits {input.splits:q} --shards {input.shards:q} \
            --lag {wildcards.lag:q} --seed {wildcards.seed:q} --fold {wildcards.fold:q} \
            --tensorboard {log:q}.tensorboard --model {output.model:q} >{log:q} 2>&1
        """


rule fit_memory:
    """Fit a lookup memory on its base, and its control with shuffled keys."""
    input:
        section="<results>/config/prediction.json",
        stage_section="<results>/config/memory.json",
        memory_section="<results>/config/memories.{memory}.json",
        base_model=base_model,
        folds=base_folds,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=prediction_splits,
        shards=latent_shards,
    output:
        memory="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/memory.safetensors",
    log:
        "<logs>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/fit_memory.log",
    benchmark:
        "<benchmarks>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/fit_memory.tsv"
    wildcard_constraints:
        memory=STUDY.memory_pattern("lookup"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=24000,
        runtime="4h",
    params:
        code=step_code("fit_memory"),
        base=base_options,
    shell:
        r"""
        python -m engram_audio.steps.fit_memory --device auto \
            --section {input.section:q} --stage-section {input.stage_section:q} \
            --memory-section {input.memory_section:q} {params.base} \
            --nulls {input.nulls:q} --splits {input.splits:q} --shards {input.shards:q} \
            --base {wildcards.base:q} --lag {wildcards.lag:q} --seed {wildcards.seed:q} \
            --memory {output.memory:q} >{log:q} 2>&1
        """


rule train_memory:
    """Train an Engram memory jointly with its head, and its control with shuffled keys."""
    input:
        section="<results>/config/prediction.json",
        stage_section="<results>/config/memory.json",
        memory_section="<results>/config/memories.{memory}.json",
        head_section=engram_head,
        recipe_section=memory_recipe,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=prediction_splits,
        shards=latent_shards,
    output:
        memory="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/memory.safetensors",
    log:
        "<logs>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/train_memory.log",
    benchmark:
        "<benchmarks>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/train_memory.tsv"
    wildcard_constraints:
        memory=STUDY.memory_pattern("engram"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=24000,
        runtime="8h",
    params:
        code=step_code("train_memory"),
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        r"""
        exec python -m engram_audio.steps.train_memory --device auto \
            --section {input.section:q} --stage-section {input.stage_section:q} \
            --memory-section {input.memory_section:q} --head-section {input.head_section:q} \
            --recipe-section {input.recipe_section:q} \
            --nulls {input.nulls:q} --splits {input.splits:q} --shards {input.shards:q} \
            --lag {wildcards.lag:q} --seed {wildcards.seed:q} --tensorboard {log:q}.tensorboard \
            --memory {output.memory:q} >{log:q} 2>&1
        """


rule train_matched:
    """Train the parametric models of a memory's size: as many parameters, as much work."""
    input:
        section="<results>/config/prediction.json",
        stage_section="<results>/config/memory.json",
        controls_section="<results>/config/memory_controls.json",
        head_section=matched_head,
        recipe_section=matched_recipe,
        memory="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/memory.safetensors",
        base_model=base_model,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=prediction_splits,
        shards=latent_shards,
    output:
        matched="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/matched.safetensors",
    log:
        "<logs>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/train_matched.log",
    benchmark:
        "<benchmarks>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/train_matched.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=24000,
        runtime="8h",
    params:
        code=step_code("train_matched"),
        base=base_options,
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        r"""
        exec python -m engram_audio.steps.train_matched --device auto \
            --section {input.section:q} --stage-section {input.stage_section:q} \
            --controls-section {input.controls_section:q} --head-section {input.head_section:q} \
            --recipe-section {input.recipe_section:q} --memory {input.memory:q} {params.base} \
            --nulls {input.nulls:q} --splits {input.splits:q} --shards {input.shards:q} \
            --lag {wildcards.lag:q} --seed {wildcards.seed:q} --tensorboard {log:q}.tensorboard \
            --matched {output.matched:q} >{log:q} 2>&1
        """


rule evaluate_memory:
    """Score a memory and all its controls on the same frames of val and eval."""
    input:
        section="<results>/config/prediction.json",
        evaluation_section="<results>/config/prediction_evaluation.json",
        stage_section="<results>/config/memory.json",
        controls_section="<results>/config/memory_controls.json",
        memory="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/memory.safetensors",
        matched="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/matched.safetensors",
        base_model=base_model,
        folds=base_folds,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=prediction_splits,
        shards=latent_shards,
    output:
        scores="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/scores.parquet",
        usage="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/usage.parquet",
        summary="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/summary.json",
    log:
        "<logs>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/evaluate_memory.log",
    benchmark:
        "<benchmarks>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/evaluate_memory.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=24000,
        runtime="4h",
    params:
        code=step_code("evaluate_memory"),
        base=base_options,
    shell:
        r"""
        python -m engram_audio.steps.evaluate_memory --device auto \
            --section {input.section:q} --evaluation-section {input.evaluation_section:q} \
            --stage-section {input.stage_section:q} --controls-section {input.controls_section:q} \
            --memory {input.memory:q} --matched {input.matched:q} {params.base} \
            --nulls {input.nulls:q} --splits {input.splits:q} --shards {input.shards:q} \
            --base {wildcards.base:q} --lag {wildcards.lag:q} --seed {wildcards.seed:q} \
            --scores {output.scores:q} --usage {output.usage:q} --summary {output.summary:q} >{log:q} 2>&1
        """


rule tabulate_memory:
    """Publish every memory beside its controls, and whether lookup helps."""
    input:
        stage_section="<results>/config/memory.json",
        verdict_section="<results>/config/memory_verdict.json",
        evaluation_section="<results>/config/prediction_evaluation.json",
        statistics_section="<results>/config/statistics.json",
        scores=memory_files("scores.parquet"),
        usage=memory_files("usage.parquet"),
        run_summaries=memory_files("summary.json"),
        direct_scores=memory_direct_scores(),
        summaries=[
            f"<results>/latents/{name}/summary.json"
            for name in STUDY.config.memory.representations
        ],
    output:
        memory="<results>/tables/memory.csv",
        memory_verdict="<results>/tables/memory_verdict.csv",
    log:
        "<logs>/memory/tabulate_memory.log",
    benchmark:
        "<benchmarks>/memory/tabulate_memory.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="30m",
    params:
        code=step_code("tabulate_memory"),
    shell:
        r"""
        python -m engram_audio.steps.tabulate_memory \
            --stage-section {input.stage_section:q} --verdict-section {input.verdict_section:q} \
            --evaluation-section {input.evaluation_section:q} \
            --statistics-section {input.statistics_section:q} \
            --scores {input.scores:q} --usage {input.usage:q} \
            --run-summaries {input.run_summaries:q} --direct-scores {input.direct_scores:q} \
            --summaries {input.summaries:q} \
            --memory {output.memory:q} --memory-verdict {output.memory_verdict:q} >{log:q} 2>&1
        """
