"""Does it help a generator at equal compute: every arm, its gains, its free runs."""

from engram_audio.audio_scores.installed import installed_evaluators


wildcard_constraints:
    generator=r"[a-z][a-z0-9_]*",


localrules:
    tabulate_generation,


rule train_generators:
    """Tune and train all arms and seeds of a generator; finished ones outlive a kill or a fault."""
    input:
        settings=settings(
            "train_generators",
            loads=PLAN.generator_code,
            facts={"arms": PLAN.generation.arms},
            section="prediction",
            generator_section="generation.library.{generator}",
            protocol_section="generation",
            recipe_section=PLAN.generation.recipe,
            null_section="prediction.ridge_mixture",
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        factorizer=PLAN.generation.factorizer,
        direct=PLAN.generation.direct,
        key_file=PLAN.generation.keys,
        utterances=PLAN.generation.transcripts,
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        # update: trainings that a change leaves as they are, are taken from the file of before.
        generators=update(
            "<results>/generation/{representation}/{generator}/generators.safetensors"
        ),
        history="<results>/generation/{representation}/{generator}/history.jsonl",
    log:
        "<logs>/generation/{representation}/{generator}/train.log",
    benchmark:
        "<benchmarks>/generation/{representation}/{generator}/train.tsv"
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
        "exec python -m engram_audio.steps.train_generators {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule evaluate_generators:
    """Score all arms and seeds of a generator on the same frames, and let some of them run free."""
    input:
        settings=settings(
            "evaluate_generators",
            loads=PLAN.generator_code,
            section="prediction",
            prediction_section="prediction.evaluation",
            generator_section="generation.library.{generator}",
            evaluation_section="generation.evaluation",
            protocol_section="generation",
            rollout_section="rollout",
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        generators="<results>/generation/{representation}/{generator}/generators.safetensors",
        utterances=PLAN.generation.transcripts,
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        scores="<results>/generation/{representation}/{generator}/scores.parquet",
        health="<results>/generation/{representation}/{generator}/health.parquet",
        reads="<results>/generation/{representation}/{generator}/reads.parquet",
        replays="<results>/generation/{representation}/{generator}/replays.parquet",
        latency="<results>/generation/{representation}/{generator}/latency.parquet",
        summary="<results>/generation/{representation}/{generator}/summary.json",
    log:
        "<logs>/generation/{representation}/{generator}/evaluate.log",
    benchmark:
        "<benchmarks>/generation/{representation}/{generator}/evaluate.tsv"
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
        "python -m engram_audio.steps.evaluate_generators {params.files} >{log:q} 2>&1"


rule evaluate_factorized:
    """Score arms over z_dyn on the frames themselves, and decode what they draw."""
    input:
        settings=settings(
            "evaluate_factorized",
            loads=PLAN.generator_code,
            facts={"arms": PLAN.generation.arms},
            section="prediction",
            prediction_section="prediction.evaluation",
            generator_section="generation.library.{generator}",
            evaluation_section="generation.evaluation",
            path_section="generation.factorized",
            rollout_section="rollout",
        ),
        nulls=PLAN.generation.source_nulls,
        generators="<results>/generation/{representation}/{generator}/generators.safetensors",
        factorizer=PLAN.generation.factorizer,
        splits=PLAN.latents.first_splits,
        shards=PLAN.generation.source_shards,
    output:
        scores="<results>/generation/{representation}/{generator}/path_scores.parquet",
        health="<results>/generation/{representation}/{generator}/path_health.parquet",
        summary="<results>/generation/{representation}/{generator}/path_summary.json",
    log:
        "<logs>/generation/{representation}/{generator}/evaluate_factorized.log",
    benchmark:
        "<benchmarks>/generation/{representation}/{generator}/evaluate_factorized.tsv"
    wildcard_constraints:
        representation=pattern(PLAN.generation.states()),
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
        "python -m engram_audio.steps.evaluate_factorized {params.files} >{log:q} 2>&1"


rule price_generators:
    """Score every size of a generator on the same frames."""
    input:
        settings=settings(
            "price_generators",
            loads=PLAN.generator_code,
            section="prediction",
            prediction_section="prediction.evaluation",
            evaluation_section="generation.evaluation",
            protocol_section="generation",
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        generators="<results>/generation/{representation}/{generator}/generators.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        sums="<results>/generation/{representation}/{generator}/prices.parquet",
    log:
        "<logs>/generation/{representation}/{generator}/price.log",
    benchmark:
        "<benchmarks>/generation/{representation}/{generator}/price.tsv"
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
        "python -m engram_audio.steps.price_generators {params.files} >{log:q} 2>&1"


rule probe_generators:
    """Ask the trained arms of a generator what their gain is made of."""
    input:
        settings=settings(
            "probe_generators",
            loads=PLAN.generator_code,
            section="prediction",
            prediction_section="prediction.evaluation",
            evaluation_section="generation.evaluation",
            probes_section="generation.probes",
            bank_section="learned_keys.bank",
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        generators="<results>/generation/{representation}/{generator}/generators.safetensors",
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        probes="<results>/generation/{representation}/{generator}/probes.parquet",
    log:
        "<logs>/generation/{representation}/{generator}/probe.log",
    benchmark:
        "<benchmarks>/generation/{representation}/{generator}/probe.tsv"
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
        "python -m engram_audio.steps.probe_generators {params.files} >{log:q} 2>&1"


rule reencode_generators:
    """Decode what generators make and encode it again: which keys stay what they were?"""
    input:
        settings=settings(
            "reencode_generators",
            loads=PLAN.generator_code,
            kinds=("codec_section",),
            data=representation_weights,
            representation_section="representations.library.{representation}",
            codec_section=PLAN.latents.codec_section,
            section="representations.extraction",
            report_section="report",
        ),
        nulls="<results>/prediction/{representation}/linear/nulls.safetensors",
        generators="<results>/generation/{representation}/{generator}/generators.safetensors",
        utterances=PLAN.latents.utterances,
        splits=PLAN.latents.first_splits,
        weights=PLAN.latents.codec_weights,
    output:
        reencoded="<results>/generation/{representation}/{generator}/reencoded.parquet",
    log:
        "<logs>/generation/{representation}/{generator}/reencode.log",
    benchmark:
        "<benchmarks>/generation/{representation}/{generator}/reencode.tsv"
    wildcard_constraints:
        representation=PLAN.latents.of_kinds("codec"),
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
        "python -m engram_audio.steps.reencode_generators {params.files}"
        " --num-workers {threads} >{log:q} 2>&1"


rule evaluate_audio:
    """Decode what a generator goes on with, score it beside true speech, and keep some to hear."""
    input:
        settings=settings(
            "evaluate_audio",
            kinds=("codec_section",),
            data=root_weights,
            facts={"evaluators": installed_evaluators},
            section="generation.audio",
            links=PLAN.comparison.link_sections,
            codec_section=PLAN.comparison.root_codec_section,
        ),
        generators="<results>/generation/{representation}/{generator}/generators.safetensors",
        paths=PLAN.generation.paths_of,
        factorizers=PLAN.generation.factorizers_of,
        noise_scale=PLAN.comparison.noise_scale,
        utterances=PLAN.latents.utterances,
        splits=PLAN.latents.first_splits,
        weights=PLAN.comparison.root_codec_weights,
    output:
        scores="<results>/generation/{representation}/{generator}/audio.parquet",
        distances="<results>/generation/{representation}/{generator}/audio_distances.parquet",
        players="<results>/generation/{representation}/{generator}/players.json",
    log:
        "<logs>/generation/{representation}/{generator}/audio.log",
    benchmark:
        "<benchmarks>/generation/{representation}/{generator}/audio.tsv"
    wildcard_constraints:
        representation=pattern(PLAN.generation.decoded()),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=growing("4h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.evaluate_audio {params.files}"
        " --num-workers {threads} >{log:q} 2>&1"


rule tabulate_generation:
    """Publish every generator, the gains between its arms, and how its free runs look."""
    input:
        settings=settings(
            "tabulate_generation",
            statistics_section="statistics",
            audio_section="generation.audio",
        ),
        scores=PLAN.generation.files("scores.parquet"),
        health=PLAN.generation.files("health.parquet"),
        reads=PLAN.generation.files("reads.parquet"),
        replays=PLAN.generation.files("replays.parquet"),
        latencies=PLAN.generation.files("latency.parquet"),
        run_summaries=PLAN.generation.files("summary.json"),
        path_scores=PLAN.generation.path_files("path_scores.parquet"),
        path_health=PLAN.generation.path_files("path_health.parquet"),
        path_summaries=PLAN.generation.path_files("path_summary.json"),
        prices=PLAN.generation.prices(),
        probes=PLAN.generation.probes(),
        audio_scores=PLAN.generation.audio("audio.parquet"),
        audio_distances=PLAN.generation.audio("audio_distances.parquet"),
    output:
        generation="<results>/tables/generation.csv",
        generation_gains="<results>/tables/generation_gains.csv",
        generation_health="<results>/tables/generation_health.csv",
        generation_keys="<results>/tables/generation_keys.csv",
        generation_replay="<results>/tables/generation_replay.csv",
        generation_latency="<results>/tables/generation_latency.csv",
        generation_ladder="<results>/tables/generation_ladder.csv",
        generation_cost="<results>/tables/generation_cost.csv",
        generation_share="<results>/tables/generation_share.csv",
        generation_wider="<results>/tables/generation_wider.csv",
        generation_probes="<results>/tables/generation_probes.csv",
        generation_audio="<results>/tables/generation_audio.csv",
        generation_audio_gains="<results>/tables/generation_audio_gains.csv",
    log:
        "<logs>/generation/tabulate.log",
    benchmark:
        "<benchmarks>/generation/tabulate.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("30m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.tabulate_generation {params.files} >{log:q} 2>&1"
