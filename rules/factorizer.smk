"""Factorise latents into a predictable state and an innovation; export the state."""


include: "factorizer_inputs.smk"


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
            recipe_section=factorizer_recipe,
            health_section="factorizer.health",
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        splits=prediction_splits,
        shards=latent_shards,
        decoder=decoder_weights,
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
        mem_mb=24000,
        runtime="8h",
    params:
        decoder=decoder_option,
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        r"""
        exec python -m engram_audio.steps.train_factorizer --device auto --settings {input.settings:q} \
            --nulls {input.nulls:q} --splits {input.splits:q} --shards {input.shards:q} \
            {params.decoder} --tensorboard {log:q}.tensorboard \
            --model {output.model:q} --history {output.history:q} >{log:q} 2>&1
        """


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
        splits=prediction_splits,
        shards=latent_shards,
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
        mem_mb=8000,
        runtime="4h",
    shell:
        r"""
        python -m engram_audio.steps.evaluate_factorizer --device auto --settings {input.settings:q} \
            --nulls {input.nulls:q} --model {input.model:q} \
            --splits {input.splits:q} --shards {input.shards:q} \
            --scores {output.scores:q} >{log:q} 2>&1
        """


rule export_states:
    """Write one shard of z_dyn as a representation."""
    input:
        settings=settings("export_states", section="representations.library.{representation}"),
        model=state_model,
        latents=state_source,
    output:
        state_latents="<results>/latents/{representation}/shard-{shard}.zarr.zip",
    log:
        "<logs>/latents/{representation}/export-{shard}.log",
    benchmark:
        "<benchmarks>/latents/{representation}/export-{shard}.tsv"
    wildcard_constraints:
        representation=STUDY.representation_pattern("state"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=8000,
        runtime="1h",
    shell:
        r"""
        python -m engram_audio.steps.export_states --device auto --settings {input.settings:q} \
            --model {input.model:q} --latents {input.latents:q} \
            --state-latents {output.state_latents:q} >{log:q} 2>&1
        """


rule tabulate_factorizer:
    """Publish factorisers beside the direct predictors, and the sweeps' Pareto fronts."""
    input:
        settings=settings(
            "tabulate_factorizer",
            evaluation_section="prediction.evaluation",
            statistics_section="statistics",
        ),
        models=factorizer_files("model.safetensors"),
        scores=factorizer_files("scores.parquet"),
        direct_scores=direct_scores(),
        summaries=[
            f"<results>/latents/{name}/summary.json"
            for name in STUDY.config.factorizer.representations
        ],
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
        mem_mb=4000,
        runtime="30m",
    params:
        sweeps=sweep_points(),
    shell:
        r"""
        python -m engram_audio.steps.tabulate_factorizer --settings {input.settings:q} \
            --models {input.models:q} --scores {input.scores:q} \
            --direct-scores {input.direct_scores:q} --summaries {input.summaries:q} \
            --sweeps {params.sweeps:q} \
            --factorizer {output.factorizer:q} --factorizer-sweep {output.factorizer_sweep:q} \
            >{log:q} 2>&1
        """


rule render_resyntheses:
    """Decode a few eval utterances from factorised latents, for the players of the report."""
    input:
        settings=settings(
            "render_resyntheses",
            loads=representation_code,
            data=representation_weights,
            representation_section="representations.library.{representation}",
            codec_section=codec_section,
            section="representations.extraction",
            report_section="report",
        ),
        model=first_factorizer,
        utterances=utterance_table,
        splits=first_splits,
        weights=codec_weights,
    output:
        players="<results>/report_assets/{representation}.{factorizer}/players.json",
    log:
        "<logs>/report_assets/{representation}.{factorizer}/resyntheses.log",
    benchmark:
        "<benchmarks>/report_assets/{representation}.{factorizer}/resyntheses.tsv"
    wildcard_constraints:
        representation=STUDY.representation_pattern("codec"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=4000,
        runtime="1h",
    shell:
        r"""
        python -m engram_audio.steps.render_resyntheses --device auto --settings {input.settings:q} \
            --model {input.model:q} \
            --utterances {input.utterances:q} --splits {input.splits:q} \
            --weights {input.weights:q} --players {output.players:q} \
            --num-workers {threads} >{log:q} 2>&1
        """


rule tabulate_states:
    """Publish the exported z_dyn beside the latents they came from, metric by metric."""
    input:
        settings=settings("tabulate_states"),
        structure="<results>/tables/structure.csv",
        linear="<results>/tables/linear.csv",
        prediction=state_predictions(),
        summaries=state_summaries(),
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
        mem_mb=2000,
        runtime="30m",
    params:
        pairs=state_pairs(),
        prediction=prediction_option,
    shell:
        r"""
        python -m engram_audio.steps.tabulate_states --settings {input.settings:q} \
            --structure {input.structure:q} --linear {input.linear:q} \
            {params.prediction} --summaries {input.summaries:q} \
            --pairs {params.pairs:q} --factorizer-states {output.factorizer_states:q} \
            >{log:q} 2>&1
        """
