"""Codecs: downloaded at a pinned commit, or fitted or trained on the train split."""


include: "latent_inputs.smk"


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
        codec=STUDY.hub_codec_pattern(),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="2h",
    shell:
        r"""
        python -m engram_audio.steps.download_codec --settings {input.settings:q} \
            --weights {output.weights:q} \
            --model-config {output.model_config:q} \
            >{log:q} 2>&1
        """


rule fit_codec:
    """Fit the PCA of a mel_pca codec on train utterances only."""
    input:
        settings=settings("fit_codec", section="codecs.library.{codec}"),
        utterances=codec_fit_utterances,
        splits=codec_fit_splits,
    output:
        weights="<results>/codecs/{codec}/weights.safetensors",
    log:
        "<logs>/codecs/{codec}/fit.log",
    benchmark:
        "<benchmarks>/codecs/{codec}/fit.tsv"
    wildcard_constraints:
        codec=STUDY.fitted_codec_pattern(),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="2h",
    shell:
        r"""
        python -m engram_audio.steps.fit_codec --settings {input.settings:q} \
            --utterances {input.utterances:q} \
            --splits {input.splits:q} \
            --weights {output.weights:q} \
            >{log:q} 2>&1
        """


rule train_codec:
    """Train a mel_vae or vae codec; an interrupted run resumes with the same bits."""
    input:
        settings=settings("train_codec", loads=trainer_code, section="codecs.library.{codec}"),
        utterances=codec_fit_utterances,
        splits=codec_fit_splits,
    output:
        weights="<results>/codecs/{codec}/weights.safetensors",
        history="<results>/codecs/{codec}/history.jsonl",
    log:
        "<logs>/codecs/{codec}/train.log",
    benchmark:
        "<benchmarks>/codecs/{codec}/train.tsv"
    wildcard_constraints:
        codec=STUDY.trained_codec_pattern(),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=24000,
        runtime="12h",
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        r"""
        exec python -m engram_audio.steps.train_codec --device auto --settings {input.settings:q} \
            --utterances {input.utterances:q} \
            --splits {input.splits:q} --tensorboard {log:q}.tensorboard \
            --weights {output.weights:q} --history {output.history:q} >{log:q} 2>&1
        """
