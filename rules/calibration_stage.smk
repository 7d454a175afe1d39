"""Planted worlds through the study's own rules, oracles, power, sabotage: is the instrument right?"""


localrules:
    tabulate_calibration_structure,
    tabulate_calibration,


if ANALYSIS_IS_LOCAL:

    localrules:
        fit_calibration_keys,
        score_calibration_laws,
        score_calibration_keys,
        score_calibration_linear,
        inject_oracle,
        simulate_power,
        simulate_sabotage,


# Worlds run through the rules of speech: the same steps, the registered keys, lag and slices only.
use rule fit_keys as fit_calibration_keys with:
    input:
        settings=settings(
            "fit_calibration_keys",
            step="fit_keys",
            loads=PLAN.key_code,
            facts={"lags": PLAN.keys.fitted_at(PLAN.calibration.lags)},
            section="keys",
            family_section="calibration.families.{family}",
        ),
        splits=PLAN.latents.splits,
        shards=PLAN.latents.shards,
    output:
        key_file="<results>/calibration/{representation}/split-{split_seed}/{family}.safetensors",
    log:
        "<logs>/calibration/{representation}/split-{split_seed}/{family}.keys.log",
    benchmark:
        "<benchmarks>/calibration/{representation}/split-{split_seed}/{family}.keys.tsv"


use rule train_key_predictor as train_calibration_predictor with:
    input:
        settings=settings(
            "train_calibration_predictor",
            step="train_key_predictor",
            section="calibration.laws",
            bank_section="learned_keys.bank",
            predictor_section="learned_keys.predictor",
            recipe_section=PLAN.laws.predictor_recipe(),
        ),
        splits=PLAN.latents.splits,
        shards=PLAN.latents.shards,
    output:
        predictor="<results>/calibration/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/predictor.safetensors",
        history="<results>/calibration/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/history.jsonl",
    log:
        "<logs>/calibration/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/predictor.log",
    benchmark:
        "<benchmarks>/calibration/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/predictor.tsv"


use rule train_learned_keys as train_calibration_learned_keys with:
    input:
        settings=settings(
            "train_calibration_learned_keys",
            step="train_learned_keys",
            keys_section="keys",
            family_section="calibration.families.{family}",
            section="calibration.laws",
            predictor_section="learned_keys.predictor",
            recipe_section=PLAN.laws.predictor_recipe(),
            recipe_sections=PLAN.laws.recipes,
        ),
        predictor=PLAN.laws.of_family("calibration"),
        splits=PLAN.latents.splits,
        shards=PLAN.latents.shards,
    output:
        key_file="<results>/calibration/{representation}/split-{split_seed}/{family}.safetensors",
        history="<results>/calibration/{representation}/split-{split_seed}/{family}.history.jsonl",
    log:
        "<logs>/calibration/{representation}/split-{split_seed}/{family}.train.log",
    benchmark:
        "<benchmarks>/calibration/{representation}/split-{split_seed}/{family}.train.tsv"


use rule score_key_laws as score_calibration_laws with:
    input:
        settings=settings(
            "score_calibration_laws",
            step="score_key_laws",
            facts={"keys": list(PLAN.config.calibration.worlds.judged_keys())},
            section="calibration.laws",
            bank_section="learned_keys.bank",
        ),
        key_files=PLAN.calibration.law_keys,
        splits=PLAN.latents.splits,
        shards=PLAN.latents.shards,
    output:
        scores="<results>/calibration/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/scores.parquet",
        facts="<results>/calibration/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/facts.parquet",
        directions="<results>/calibration/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/directions.parquet",
    log:
        "<logs>/calibration/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/scores.log",
    benchmark:
        "<benchmarks>/calibration/{representation}/split-{split_seed}/lag-{lag}/{target}/{base}/scores.tsv"


use rule score_structure_keys as score_calibration_keys with:
    input:
        settings=settings(
            "score_calibration_keys",
            step="score_structure_keys",
            section="calibration.structure",
            oracle_section=PLAN.structure.oracle_section("calibration.families"),
        ),
        key_file=PLAN.keys.of_family("calibration"),
        splits=PLAN.latents.splits,
        shards=PLAN.latents.shards,
    output:
        scores="<results>/calibration/{representation}/split-{split_seed}/{family}/scores.parquet",
        key_table="<results>/calibration/{representation}/split-{split_seed}/{family}/keys.parquet",
        cells="<results>/calibration/{representation}/split-{split_seed}/{family}/cells.parquet",
        curves="<results>/calibration/{representation}/split-{split_seed}/{family}/curves.parquet",
        ngrams="<results>/calibration/{representation}/split-{split_seed}/{family}/ngrams.parquet",
    log:
        "<logs>/calibration/{representation}/split-{split_seed}/{family}.log",
    benchmark:
        "<benchmarks>/calibration/{representation}/split-{split_seed}/{family}.tsv"


use rule score_linear_baselines as score_calibration_linear with:
    input:
        settings=settings(
            "score_calibration_linear",
            step="score_linear_baselines",
            section="calibration.structure",
        ),
        splits=PLAN.latents.splits,
        shards=PLAN.latents.shards,
    output:
        linear="<results>/calibration/{representation}/split-{split_seed}/linear.parquet",
    log:
        "<logs>/calibration/{representation}/split-{split_seed}/linear.log",
    benchmark:
        "<benchmarks>/calibration/{representation}/split-{split_seed}/linear.tsv"


use rule tabulate_structure as tabulate_calibration_structure with:
    input:
        settings=settings(
            "tabulate_calibration_structure", step="tabulate_structure", section="statistics"
        ),
        scores=PLAN.calibration.world_tables("scores"),
        key_table=PLAN.calibration.world_tables("keys"),
        curves=PLAN.calibration.world_tables("curves"),
        ngrams=PLAN.calibration.world_tables("ngrams"),
        linear=PLAN.calibration.world_linear,
        summaries=PLAN.calibration.world_summaries,
    output:
        structure_table="<results>/calibration/{representation}/structure.csv",
        linear_table="<results>/calibration/{representation}/linear.csv",
        curves_table="<results>/calibration/{representation}/curves.csv",
        ngrams_table="<results>/calibration/{representation}/ngrams.csv",
        speakers_table="<results>/calibration/{representation}/speakers.csv",
    log:
        "<logs>/calibration/{representation}/structure.log",
    benchmark:
        "<benchmarks>/calibration/{representation}/structure.tsv"


rule inject_oracle:
    """Work out a world's truths; put its exact predictor and hidden key through the metrics."""
    input:
        settings=settings(
            "inject_oracle",
            representation_section="representations.library.{representation}",
            worlds_section="calibration.worlds",
            structure_section="calibration.structure",
            evaluation_section="prediction.evaluation",
        ),
        splits=PLAN.latents.first_splits,
        shards=PLAN.latents.shards,
    output:
        truths="<results>/calibration/{representation}/truths.parquet",
        rows="<results>/calibration/{representation}/oracle.parquet",
    log:
        "<logs>/calibration/{representation}/oracle.log",
    benchmark:
        "<benchmarks>/calibration/{representation}/oracle.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing("4h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.inject_oracle {params.files} >{log:q} 2>&1"


rule simulate_power:
    """Simulate studies on the boundaries: error rates of the gate, coverage of intervals."""
    input:
        settings=settings(
            "simulate_power",
            section="calibration.power",
            decision_section="decision",
            statistics_section="statistics",
        ),
    output:
        power="<results>/calibration/power.parquet",
    log:
        "<logs>/calibration/power.log",
    benchmark:
        "<benchmarks>/calibration/power.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("1h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.simulate_power {params.files} >{log:q} 2>&1"


rule simulate_sabotage:
    """Switch planted bugs on, one at a time, and note which calibration rows fail."""
    input:
        settings=settings(
            "simulate_sabotage",
            section="calibration.sabotage",
            keys_section="keys",
            worlds_section="calibration.worlds",
            structure_section="calibration.structure",
            decision_section="decision",
            statistics_section="statistics",
            family_sections=PLAN.calibration.family_sections(),
        ),
    output:
        sabotage="<results>/calibration/sabotage.parquet",
    log:
        "<logs>/calibration/sabotage.log",
    benchmark:
        "<benchmarks>/calibration/sabotage.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("1h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.simulate_sabotage {params.files} >{log:q} 2>&1"


rule tabulate_calibration:
    """Publish measured against known, error rates, coverage and the sabotage matrix."""
    input:
        settings=settings(
            "tabulate_calibration",
            worlds_section="calibration.worlds",
            power_section="calibration.power",
            structure_section="calibration.structure",
            decision_section="decision",
            statistics_section="statistics",
            generation_section="generation.bars",
        ),
        generated=PLAN.generation.tables_of_worlds(),
        structure=PLAN.calibration.of_each_world("structure.csv"),
        linear=PLAN.calibration.of_each_world("linear.csv"),
        truths=PLAN.calibration.of_each_world("truths.parquet"),
        rows=PLAN.calibration.of_each_world("oracle.parquet"),
        law_scores=PLAN.calibration.law_files("scores.parquet", PLAN.config.decision.lag_frames),
        law_facts=PLAN.calibration.law_files("facts.parquet", PLAN.config.decision.lag_frames),
        power="<results>/calibration/power.parquet",
        sabotage="<results>/calibration/sabotage.parquet",
    output:
        document="<results>/calibration.json",
        table=report("<results>/tables/calibration.csv", category="Tables"),
    log:
        "<logs>/calibration/tabulate.log",
    benchmark:
        "<benchmarks>/calibration/tabulate.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("30m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.tabulate_calibration {params.files} >{log:q} 2>&1"
