"""Keys: fitted once for a representation and a split, read by structure, memory and rollout."""


wildcard_constraints:
    lag=r"\d+",
    target="position|delta",


localrules:
    tabulate_keys,


if ANALYSIS_IS_LOCAL:

    localrules:
        fit_keys,
        score_key_laws,


rule fit_keys:
    """Fit all keys of one family on train speakers."""
    input:
        settings=settings(
            "fit_keys",
            loads=PLAN.key_code,
            facts={"lags": PLAN.keys.fitted_at(PLAN.keys.lags)},
            section="keys",
            family_section="keys.library.{family}",
        ),
        splits=PLAN.latents.splits,
        shards=PLAN.latents.shards,
    output:
        key_file="<results>/keys/{representation}/split-{split_seed}/{family}.safetensors",
    log:
        "<logs>/keys/{representation}/split-{split_seed}/{family}.log",
    benchmark:
        "<benchmarks>/keys/{representation}/split-{split_seed}/{family}.tsv"
    wildcard_constraints:
        family=PLAN.keys.learned(False),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing("6h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.fit_keys {params.files} >{log:q} 2>&1"


rule train_key_predictor:
    """Fit the bank of one target, base and lag; train its predictor. An interrupted run resumes."""
    input:
        settings=settings(
            "train_key_predictor",
            section="learned_keys",
            bank_section="learned_keys.bank",
            predictor_section="learned_keys.predictor",
            recipe_section=PLAN.laws.predictor_recipe(),
        ),
        splits=PLAN.latents.splits,
        shards=PLAN.latents.shards,
    output:
        predictor="<results>/keys/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/predictor.safetensors",
        history="<results>/keys/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/history.jsonl",
    log:
        "<logs>/keys/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/predictor.log",
    benchmark:
        "<benchmarks>/keys/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/predictor.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(16000),
        runtime=growing("4h"),
    params:
        files=files,
    # exec: a scheduler's SIGTERM ends a waiting shell at once, and with it the time for a checkpoint.
    shell:
        "exec python -m engram_audio.steps.train_key_predictor {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule train_learned_keys:
    """Train all keys of one learned family; an interrupted run resumes."""
    input:
        settings=settings(
            "train_learned_keys",
            keys_section="keys",
            family_section="keys.library.{family}",
            section="learned_keys",
            predictor_section="learned_keys.predictor",
            recipe_section=PLAN.laws.predictor_recipe(),
            recipe_sections=PLAN.laws.recipes,
        ),
        predictor=PLAN.laws.of_family("keys"),
        splits=PLAN.latents.splits,
        shards=PLAN.latents.shards,
    output:
        key_file="<results>/keys/{representation}/split-{split_seed}/{family}.safetensors",
        history="<results>/keys/{representation}/split-{split_seed}/{family}.history.jsonl",
    log:
        "<logs>/keys/{representation}/split-{split_seed}/{family}.train.log",
    benchmark:
        "<benchmarks>/keys/{representation}/split-{split_seed}/{family}.train.tsv"
    wildcard_constraints:
        family=PLAN.keys.learned(True),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(16000),
        runtime=growing("8h"),
    params:
        files=files,
    shell:
        "exec python -m engram_audio.steps.train_learned_keys {params.files}"
        " --tensorboard {log:q}.tensorboard >{log:q} 2>&1"


rule score_key_laws:
    """Score keys by the laws of one bank, beside predictor, target oracle and permuted codes."""
    input:
        settings=settings(
            "score_key_laws",
            facts={"keys": PLAN.laws.keys()},
            section="learned_keys",
            bank_section="learned_keys.bank",
        ),
        predictor=PLAN.laws.predictor,
        key_files=PLAN.laws.key_files,
        splits=PLAN.latents.splits,
        shards=PLAN.latents.shards,
    output:
        scores="<results>/keys/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/scores.parquet",
        facts="<results>/keys/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/facts.parquet",
        directions="<results>/keys/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/directions.parquet",
    log:
        "<logs>/keys/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/scores.log",
    benchmark:
        "<benchmarks>/keys/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/scores.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=growing("6h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.score_key_laws {params.files} >{log:q} 2>&1"


rule tabulate_keys:
    """Publish how many nats survive each key."""
    input:
        settings=settings(
            "tabulate_keys",
            verdict_section="learned_keys.verdict",
            statistics_section="statistics",
        ),
        scores=PLAN.laws.files("scores.parquet"),
        facts=PLAN.laws.files("facts.parquet"),
        directions=PLAN.laws.direction_files(),
    output:
        table=report("<results>/tables/keys.csv", category="Tables"),
        directions_table=report("<results>/tables/key_directions.csv", category="Tables"),
    log:
        "<logs>/tables/keys.log",
    benchmark:
        "<benchmarks>/tables/keys.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("30m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.tabulate_keys {params.files} >{log:q} 2>&1"
