"""What context buys: nulls, heads, scores and tables of every representation and lag."""


wildcard_constraints:
    head=r"[a-z][a-z0-9_]*",
    lag=r"\d+",
    seed=r"\d+",


localrules:
    tabulate_prediction,
    tabulate_diagnostics,


if ANALYSIS_IS_LOCAL:

    localrules:
        fit_linear_nulls,
        fit_marginal,
        fit_ridge_mixture,
        evaluate_nulls,


rule fit_linear_nulls:
    """Measure train statistics and fit the linear nulls of all lags."""
    input:
        settings=settings(
            "fit_linear_nulls", section="prediction", nulls_section="prediction.nulls"
        ),
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
    log:
        "<logs>/prediction/{representation}/fit_linear_nulls.log",
    benchmark:
        "<benchmarks>/prediction/{representation}/fit_linear_nulls.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing("4h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.fit_linear_nulls {params.files} >{log:q} 2>&1"


rule fit_marginal:
    """Fit a head's family without context, grown until the choice part stops improving."""
    input:
        settings=settings(
            "fit_marginal",
            kinds=("head_section",),
            section="prediction",
            head_section="prediction.library.{head}",
            recipe_section=PLAN.prediction.marginal_recipe,
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        marginal="<results>/prediction/{representation}/marginal/{head}/seed-{seed}/marginal.safetensors",
    log:
        "<logs>/prediction/{representation}/marginal/{head}/seed-{seed}.log",
    benchmark:
        "<benchmarks>/prediction/{representation}/marginal/{head}/seed-{seed}.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=growing("4h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.fit_marginal {params.files} >{log:q} 2>&1"


rule fit_ridge_mixture:
    """Fit the null with the ridge's mean and a static mixture of its residuals."""
    input:
        settings=settings(
            "fit_ridge_mixture", section="prediction", null_section="prediction.ridge_mixture"
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        ridge_mixture="<results>/prediction/{representation}/ridge_mixture/seed-{seed}/ridge_mixture.safetensors",
    log:
        "<logs>/prediction/{representation}/ridge_mixture/seed-{seed}.log",
    benchmark:
        "<benchmarks>/prediction/{representation}/ridge_mixture/seed-{seed}.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=growing("4h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.fit_ridge_mixture {params.files} >{log:q} 2>&1"


rule tune_density:
    """Tune one head on one representation, once for all its lags and seeds."""
    input:
        settings=settings(
            "tune_density",
            kinds=("head_section",),
            section="prediction",
            head_section="prediction.library.{head}",
            recipe_section=PLAN.prediction.head_recipe,
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        tuning="<results>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/tuning.json",
        scores="<results>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/tuning.parquet",
    log:
        "<logs>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/tune_density.log",
    benchmark:
        "<benchmarks>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/tune_density.tsv"
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
        "exec python -m engram_audio.steps.tune_density {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule train_density:
    """Train one head at one lag; an interrupted run resumes with the same bits."""
    input:
        settings=settings(
            "train_density",
            kinds=("head_section",),
            section="prediction",
            head_section="prediction.library.{head}",
            recipe_section=PLAN.prediction.head_recipe,
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
        tuning=PLAN.prediction.tuning,
    output:
        model="<results>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/model.safetensors",
        history="<results>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/history.jsonl",
    log:
        "<logs>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/train_density.log",
    benchmark:
        "<benchmarks>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/train_density.tsv"
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
        "exec python -m engram_audio.steps.train_density {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule evaluate_density:
    """Score one head at one lag on every part, and roll its mean out."""
    input:
        settings=settings(
            "evaluate_density", section="prediction", evaluation_section="prediction.evaluation"
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        marginal="<results>/prediction/{representation}/marginal/{head}/seed-{seed}/marginal.safetensors",
        model="<results>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/model.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
        decoder=PLAN.latents.decoder_weights,
    output:
        scores="<results>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/scores.parquet",
        frames="<results>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/frames.parquet",
        worst="<results>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/worst.parquet",
        calibration="<results>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/calibration.parquet",
        dimensions="<results>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/dimensions.parquet",
        rollout="<results>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/rollout.parquet",
    log:
        "<logs>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/evaluate_density.log",
    benchmark:
        "<benchmarks>/prediction/{representation}/lag-{lag}/{head}/seed-{seed}/evaluate_density.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=growing("2h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.evaluate_density {params.files} >{log:q} 2>&1"


rule evaluate_nulls:
    """Score every null of every lag through the heads' code path."""
    input:
        settings=settings(
            "evaluate_nulls", section="prediction", evaluation_section="prediction.evaluation"
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        marginals=PLAN.prediction.marginals,
        ridge_mixture="<results>/prediction/{representation}/ridge_mixture/seed-{seed}/ridge_mixture.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
        decoder=PLAN.latents.decoder_weights,
    output:
        scores="<results>/prediction/{representation}/nulls/seed-{seed}/scores.parquet",
        frames="<results>/prediction/{representation}/nulls/seed-{seed}/frames.parquet",
        worst="<results>/prediction/{representation}/nulls/seed-{seed}/worst.parquet",
        calibration="<results>/prediction/{representation}/nulls/seed-{seed}/calibration.parquet",
        dimensions="<results>/prediction/{representation}/nulls/seed-{seed}/dimensions.parquet",
    log:
        "<logs>/prediction/{representation}/nulls/seed-{seed}.log",
    benchmark:
        "<benchmarks>/prediction/{representation}/nulls/seed-{seed}.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing("8h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.evaluate_nulls {params.files} >{log:q} 2>&1"


rule tabulate_prediction:
    """Publish gains over the best null, with intervals, and the worst frames."""
    input:
        settings=settings(
            "tabulate_prediction",
            section="prediction",
            evaluation_section="prediction.evaluation",
            statistics_section="statistics",
        ),
        scores=PLAN.prediction.tables("scores", True),
        frames=PLAN.prediction.tables("frames", True),
        worst=PLAN.prediction.tables("worst", True),
        summaries=PLAN.prediction.summaries(),
        tunings=PLAN.prediction.tunings("tuning.json"),
        tuning_scores=PLAN.prediction.tunings("tuning.parquet"),
    output:
        prediction="<results>/tables/prediction.csv",
        worst_frames="<results>/tables/worst_frames.csv",
        prediction_tuning="<results>/tables/prediction_tuning.csv",
    log:
        "<logs>/prediction/tabulate_prediction.log",
    benchmark:
        "<benchmarks>/prediction/tabulate_prediction.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing("1h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.tabulate_prediction {params.files} >{log:q} 2>&1"


rule tabulate_diagnostics:
    """Publish calibration bins and the simple rollout."""
    input:
        settings=settings("tabulate_diagnostics"),
        calibration=PLAN.prediction.tables("calibration", True),
        rollout=PLAN.prediction.tables("rollout", False),
    output:
        prediction_calibration="<results>/tables/prediction_calibration.csv",
        prediction_rollout="<results>/tables/prediction_rollout.csv",
    log:
        "<logs>/prediction/tabulate_diagnostics.log",
    benchmark:
        "<benchmarks>/prediction/tabulate_diagnostics.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("30m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.tabulate_diagnostics {params.files} >{log:q} 2>&1"
