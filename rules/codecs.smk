"""Codecs: downloaded at a pinned commit, or fitted or trained on the train split."""


localrules:
    download_codec,


if ANALYSIS_IS_LOCAL:

    localrules:
        fit_codec,


rule download_codec:
    """Download a checkpoint at its pinned commit and check its digest."""
    input:
        settings=settings("download_codec", section="codecs.library.{codec}"),
    output:
        weights="data/codecs/{codec}/model.safetensors",
        model_config="data/codecs/{codec}/config.json",
    log:
        "<logs>/codecs/{codec}/download.log",
    benchmark:
        "<benchmarks>/codecs/{codec}/download.tsv"
    wildcard_constraints:
        codec=PLAN.codecs.downloaded(),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("2h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.download_codec {params.files} >{log:q} 2>&1"


rule fit_codec:
    """Fit the PCA of a mel_pca codec on train utterances only."""
    input:
        settings=settings("fit_codec", section="codecs.library.{codec}"),
        utterances=PLAN.codecs.fit_utterances,
        splits=PLAN.codecs.fit_splits,
        checked=once(PLAN.checked_of_codec),
    output:
        weights="<results>/codecs/{codec}/weights.safetensors",
    log:
        "<logs>/codecs/{codec}/fit.log",
    benchmark:
        "<benchmarks>/codecs/{codec}/fit.tsv"
    wildcard_constraints:
        codec=PLAN.codecs.fitted(),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("2h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.fit_codec {params.files} >{log:q} 2>&1"


rule train_codec:
    """Train a mel_vae or vae codec; an interrupted run resumes with the same bits."""
    input:
        settings=settings(
            "train_codec", loads=PLAN.codecs.trainer_code, section="codecs.library.{codec}"
        ),
        utterances=PLAN.codecs.fit_utterances,
        splits=PLAN.codecs.fit_splits,
        checked=once(PLAN.checked_of_codec),
    output:
        weights="<results>/codecs/{codec}/weights.safetensors",
        history="<results>/codecs/{codec}/history.jsonl",
    log:
        "<logs>/codecs/{codec}/train.log",
    benchmark:
        "<benchmarks>/codecs/{codec}/train.tsv"
    wildcard_constraints:
        codec=PLAN.codecs.trained(),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(24000),
        runtime=growing("12h"),
    params:
        files=files,
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        "exec python -m engram_audio.steps.train_codec {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"
