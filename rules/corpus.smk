"""Audio on disk to an utterance table, shards and splits."""

# Relative, so that a moved checkout reruns nothing.
SENTENCES = os.path.relpath(os.path.join(HOME, "engram_audio", "corpus", "demo_sentences.txt"))


localrules:
    download_librispeech,
    assign_shards,
    make_splits,
    check_splits,


if ANALYSIS_IS_LOCAL:

    localrules:
        locate_corpus,
        synthesize_demo_speech,
        index_corpus,


rule download_librispeech:
    """Download one LibriSpeech subset into the corpus's root; what is there stays."""
    input:
        settings=settings("download_librispeech", section="corpora.{corpus}"),
    output:
        receipt="<results>/corpus/{corpus}/download-{subset}.json",
    log:
        "<logs>/corpus/{corpus}/download-{subset}.log",
    benchmark:
        "<benchmarks>/corpus/{corpus}/download-{subset}.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing("12h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.download_librispeech {params.files} >{log:q} 2>&1"


rule locate_corpus:
    """List a corpus's files and their digests."""
    input:
        settings=settings("locate_corpus", data=corpus_stamp, section="corpora.{corpus}"),
        receipts=PLAN.corpus.download_receipts,
    output:
        source="<results>/corpus/{corpus}/source.json",
    log:
        "<logs>/corpus/{corpus}/locate.log",
    benchmark:
        "<benchmarks>/corpus/{corpus}/locate.tsv"
    wildcard_constraints:
        corpus=PLAN.corpus.of_kinds("librispeech", "directory"),
    conda:
        "../envs/engram.yaml"
    threads: 2
    resources:
        mem_mb=growing(1000),
        runtime=growing("2h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.locate_corpus {params.files}"
        " --num-workers {threads} >{log:q} 2>&1"


rule synthesize_demo_speech:
    """Write the demo corpus with espeak-ng."""
    input:
        settings=settings("synthesize_demo_speech", section="corpora.{corpus}"),
        sentences=SENTENCES,
    output:
        source="<results>/corpus/{corpus}/source.json",
    log:
        "<logs>/corpus/{corpus}/synthesize.log",
    benchmark:
        "<benchmarks>/corpus/{corpus}/synthesize.tsv"
    wildcard_constraints:
        corpus=PLAN.corpus.of_kinds("demo_speech"),
    conda:
        "../envs/engram.yaml"
    threads: 2
    resources:
        mem_mb=growing(1000),
        runtime=growing("1h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.synthesize_demo_speech {params.files}"
        " --num-workers {threads} >{log:q} 2>&1"


rule index_corpus:
    """Decode every file: the table of utterances, and of what was excluded and why."""
    input:
        settings=settings("index_corpus", section="corpora.{corpus}"),
        source="<results>/corpus/{corpus}/source.json",
    output:
        utterances="<results>/corpus/{corpus}/utterances.parquet",
        exclusions="<results>/corpus/{corpus}/exclusions.parquet",
    log:
        "<logs>/corpus/{corpus}/index.log",
    benchmark:
        "<benchmarks>/corpus/{corpus}/index.tsv"
    wildcard_constraints:
        corpus=PLAN.corpus.of_kinds("librispeech", "directory", "demo_speech"),
    conda:
        "../envs/engram.yaml"
    threads: 2
    resources:
        mem_mb=growing(2000),
        runtime=growing("4h"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.index_corpus {params.files}"
        " --num-workers {threads} >{log:q} 2>&1"


rule assign_shards:
    """Deal whole speakers to shards of about equal length."""
    input:
        settings=settings("assign_shards", section="corpora.{corpus}"),
        utterances="<results>/corpus/{corpus}/utterances.parquet",
    output:
        shards="<results>/corpus/{corpus}/shards.parquet",
    log:
        "<logs>/corpus/{corpus}/shards.log",
    benchmark:
        "<benchmarks>/corpus/{corpus}/shards.tsv"
    wildcard_constraints:
        corpus=PLAN.corpus.of_kinds("librispeech", "directory", "demo_speech"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("10m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.assign_shards {params.files} >{log:q} 2>&1"


rule make_splits:
    """Speaker-disjoint train, select and eval, and val within the fitted speakers."""
    input:
        settings=settings("make_splits", section="splits"),
        utterances="<results>/corpus/{corpus}/utterances.parquet",
    output:
        splits="<results>/splits/{corpus}/seed-{split_seed}/splits.parquet",
    log:
        "<logs>/splits/{corpus}/seed-{split_seed}.log",
    benchmark:
        "<benchmarks>/splits/{corpus}/seed-{split_seed}.tsv"
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("10m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.make_splits {params.files} >{log:q} 2>&1"


rule check_splits:
    """Refuse utterances that cannot answer the study, before anything is encoded or trained."""
    input:
        settings=settings("check_splits", section="demands.{corpus}"),
        utterances="<results>/corpus/{corpus}/utterances.parquet",
        splits=PLAN.checked_splits,
        arrays=PLAN.listed_arrays,
    output:
        checked="<results>/splits/{corpus}/checked.json",
    log:
        "<logs>/splits/{corpus}/check.log",
    benchmark:
        "<benchmarks>/splits/{corpus}/check.tsv"
    wildcard_constraints:
        corpus=pattern(list(PLAN.demands)),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("10m"),
    params:
        files=files,
    shell:
        "python -m engram_audio.steps.check_splits {params.files} >{log:q} 2>&1"
