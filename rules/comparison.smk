"""Every codec side by side: reconstruction, then one table of all and the frontier."""


localrules:
    tabulate_codecs,


rule evaluate_reconstruction:
    """Decode eval utterances from a representation and score them against the original."""
    input:
        settings=settings(
            "evaluate_reconstruction",
            kinds=("codec_section",),
            data=root_weights,
            section="comparison.reconstruction",
            links=PLAN.comparison.link_sections,
            codec_section=PLAN.comparison.root_codec_section,
        ),
        noise_scale=PLAN.comparison.noise_scale,
        utterances=PLAN.latents.utterances,
        splits=PLAN.latents.first_splits,
        weights=PLAN.comparison.root_codec_weights,
    output:
        scores="<results>/reconstruction/{representation}/scores.parquet",
    log:
        "<logs>/reconstruction/{representation}.log",
    benchmark:
        "<benchmarks>/reconstruction/{representation}.tsv"
    wildcard_constraints:
        representation=pattern(PLAN.comparison.reconstructed()),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(4000),
        runtime=growing("2h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.evaluate_reconstruction {params.files}"
        " --num-workers {threads} >{log:q} 2>&1"


rule tabulate_codecs:
    """Publish every codec side by side, and the frontier of every ladder."""
    input:
        settings=settings(
            "tabulate_codecs",
            facts={"origins": PLAN.comparison.origins()},
            section="comparison",
            decision_section="decision",
            statistics_section="statistics",
            prediction_section="prediction",
        ),
        structure=compared_structure,
        prediction_scores=PLAN.comparison.scores(),
        summaries=PLAN.comparison.summaries(),
        reconstructions=PLAN.comparison.reconstruction_scores(),
    output:
        codecs="<results>/tables/codecs.csv",
        frontier="<results>/tables/frontier.csv",
    log:
        "<logs>/tabulate_codecs.log",
    benchmark:
        "<benchmarks>/tabulate_codecs.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("30m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.tabulate_codecs {params.files} >{log:q} 2>&1"
