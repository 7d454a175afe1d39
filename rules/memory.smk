"""Lookup memories beside predictors, and the controls that say whether the lookup helps."""


wildcard_constraints:
    base=r"[a-z][a-z0-9_]*",
    memory=r"[a-z][a-z0-9_]*",
    fold=r"\d+",


localrules:
    tabulate_memory,


rule train_fold_density:
    """Train a head without one fold of speakers; an interrupted run resumes."""
    input:
        settings=settings(
            "train_fold_density",
            kinds=("head_section",),
            section="prediction",
            memory_section="memory",
            head_section="prediction.library.{head}",
            recipe_section=PLAN.prediction.head_recipe,
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
        tuning=PLAN.memory.head_tuning,
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
        mem_mb=growing(24000),
        runtime=growing("8h"),
    params:
        files=files,
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        "exec python -m engram_audio.steps.train_fold_density {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule fit_memory:
    """Fit a lookup memory on its base, and its control with shuffled keys."""
    input:
        settings=settings(
            "fit_memory",
            kinds=("memory_section",),
            section="prediction",
            stage_section="memory",
            memory_section="memory.library.{memory}",
        ),
        base_model=PLAN.memory.base_model,
        folds=PLAN.memory.base_folds,
        key_file=PLAN.memory.keys,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        memory="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/memory.safetensors",
    log:
        "<logs>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/fit_memory.log",
    benchmark:
        "<benchmarks>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/fit_memory.tsv"
    wildcard_constraints:
        memory=PLAN.memory.joint(False),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(24000),
        runtime=growing("4h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.fit_memory {params.files} >{log:q} 2>&1"


rule tune_memory:
    """Tune one Engram memory on one representation, once for all its lags and seeds."""
    input:
        settings=settings(
            "tune_memory",
            kinds=("memory_section", "head_section"),
            section="prediction",
            stage_section="memory",
            memory_section="memory.library.{memory}",
            head_section=PLAN.memory.engram_head,
            recipe_section=PLAN.memory.recipe,
        ),
        key_file=PLAN.memory.keys,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        tuning="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/memory_tuning.json",
        scores="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/memory_tuning.parquet",
    log:
        "<logs>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/tune_memory.log",
    benchmark:
        "<benchmarks>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/tune_memory.tsv"
    wildcard_constraints:
        memory=PLAN.memory.joint(True),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(24000),
        runtime=growing("24h"),
    params:
        files=files,
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        "exec python -m engram_audio.steps.tune_memory {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule train_memory:
    """Train an Engram memory jointly with its head, and its control with shuffled keys."""
    input:
        settings=settings(
            "train_memory",
            kinds=("memory_section", "head_section"),
            section="prediction",
            stage_section="memory",
            memory_section="memory.library.{memory}",
            head_section=PLAN.memory.engram_head,
            recipe_section=PLAN.memory.recipe,
        ),
        key_file=PLAN.memory.keys,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
        tuning=PLAN.memory.memory_tuning,
    output:
        memory="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/memory.safetensors",
    log:
        "<logs>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/train_memory.log",
    benchmark:
        "<benchmarks>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/train_memory.tsv"
    wildcard_constraints:
        memory=PLAN.memory.joint(True),
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
        "exec python -m engram_audio.steps.train_memory {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule tune_matched:
    """Tune the parametric models of a memory's size, once for all its lags and seeds."""
    input:
        settings=settings(
            "tune_matched",
            kinds=("head_section",),
            section="prediction",
            stage_section="memory",
            controls_section="memory.controls",
            head_section=PLAN.memory.matched_head,
            recipe_section=PLAN.memory.matched_recipe,
        ),
        memory="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/memory.safetensors",
        base_model=PLAN.memory.base_model,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        tuning="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/matched_tuning.json",
        scores="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/matched_tuning.parquet",
    log:
        "<logs>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/tune_matched.log",
    benchmark:
        "<benchmarks>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/tune_matched.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(24000),
        runtime=growing("24h"),
    params:
        files=files,
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        "exec python -m engram_audio.steps.tune_matched {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule train_matched:
    """Train the parametric models of a memory's size: as many parameters, as much work."""
    input:
        settings=settings(
            "train_matched",
            kinds=("head_section",),
            section="prediction",
            stage_section="memory",
            controls_section="memory.controls",
            head_section=PLAN.memory.matched_head,
            recipe_section=PLAN.memory.matched_recipe,
        ),
        memory="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/memory.safetensors",
        base_model=PLAN.memory.base_model,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
        tuning=PLAN.memory.matched_tuning,
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
        mem_mb=growing(24000),
        runtime=growing("8h"),
    params:
        files=files,
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        "exec python -m engram_audio.steps.train_matched {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule tune_curve:
    """Tune the nets of a curve of nats against size, once for all lags and seeds."""
    input:
        settings=settings(
            "tune_curve",
            kinds=("head_section",),
            section="prediction",
            stage_section="memory",
            controls_section="memory.controls",
            head_section=PLAN.memory.matched_head,
            recipe_section=PLAN.memory.curve_recipe,
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        tuning="<results>/memory/{representation}/lag-{lag}/curve/{base}/seed-{seed}/curve_tuning.json",
        scores="<results>/memory/{representation}/lag-{lag}/curve/{base}/seed-{seed}/curve_tuning.parquet",
    log:
        "<logs>/memory/{representation}/lag-{lag}/curve/{base}/seed-{seed}/tune_curve.log",
    benchmark:
        "<benchmarks>/memory/{representation}/lag-{lag}/curve/{base}/seed-{seed}/tune_curve.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(24000),
        runtime=growing("24h"),
    params:
        files=files,
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        "exec python -m engram_audio.steps.tune_curve {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule train_curve:
    """Train and score the nets of a curve of nats against size."""
    input:
        settings=settings(
            "train_curve",
            kinds=("head_section",),
            section="prediction",
            stage_section="memory",
            controls_section="memory.controls",
            head_section=PLAN.memory.matched_head,
            recipe_section=PLAN.memory.curve_recipe,
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
        tuning=PLAN.memory.curve_tuning,
    output:
        sizes="<results>/memory/{representation}/lag-{lag}/curve/{base}/seed-{seed}/curve.json",
        scores="<results>/memory/{representation}/lag-{lag}/curve/{base}/seed-{seed}/curve.parquet",
    log:
        "<logs>/memory/{representation}/lag-{lag}/curve/{base}/seed-{seed}/train_curve.log",
    benchmark:
        "<benchmarks>/memory/{representation}/lag-{lag}/curve/{base}/seed-{seed}/train_curve.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(24000),
        runtime=growing("24h"),
    params:
        files=files,
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        "exec python -m engram_audio.steps.train_curve {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule evaluate_memory:
    """Score a memory and all its controls on the same frames of every part but train."""
    input:
        settings=settings(
            "evaluate_memory",
            section="prediction",
            evaluation_section="prediction.evaluation",
            stage_section="memory",
            controls_section="memory.controls",
        ),
        memory="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/memory.safetensors",
        matched="<results>/memory/{representation}/lag-{lag}/{base}/{memory}/seed-{seed}/matched.safetensors",
        base_model=PLAN.memory.base_model,
        folds=PLAN.memory.base_folds,
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
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
        mem_mb=growing(24000),
        runtime=growing("4h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.evaluate_memory {params.files} >{log:q} 2>&1"


rule tabulate_memory:
    """Publish every memory beside its controls, and whether lookup helps."""
    input:
        settings=settings(
            "tabulate_memory",
            stage_section="memory",
            verdict_section="memory.verdict",
            evaluation_section="prediction.evaluation",
            statistics_section="statistics",
        ),
        scores=PLAN.memory.files("scores.parquet"),
        usage=PLAN.memory.files("usage.parquet"),
        run_summaries=PLAN.memory.files("summary.json"),
        direct_scores=PLAN.memory.direct_scores(),
        summaries=PLAN.memory.summaries(),
        curve_sizes=PLAN.memory.curves("curve.json"),
        curve_scores=PLAN.memory.curves("curve.parquet"),
        curve_tunings=PLAN.memory.curve_tunings(".json"),
        curve_tuning_scores=PLAN.memory.curve_tunings(".parquet"),
        tunings=PLAN.memory.tunings(".json"),
        tuning_scores=PLAN.memory.tunings(".parquet"),
    output:
        memory="<results>/tables/memory.csv",
        memory_verdict="<results>/tables/memory_verdict.csv",
        memory_tuning="<results>/tables/memory_tuning.csv",
        memory_curve="<results>/tables/memory_curve.csv",
    log:
        "<logs>/memory/tabulate_memory.log",
    benchmark:
        "<benchmarks>/memory/tabulate_memory.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("30m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.tabulate_memory {params.files} >{log:q} 2>&1"
