"""Audio on disk to an utterance table, shards and splits."""

# Relative, so that a moved checkout reruns nothing.
SENTENCES = os.path.relpath(
    os.path.join(workflow.basedir, "engram_audio", "corpus", "demo_sentences.txt")
)


localrules:
    download_librispeech,
    assign_shards,
    make_splits,


if ANALYSIS_IS_LOCAL:

    localrules:
        locate_corpus,
        synthesize_demo_speech,
        index_corpus,


rule download_librispeech:
    """Download one LibriSpeech subset into the corpus's root; what is there stays."""
    input:
        section="<results>/config/corpora.{corpus}.json",
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
        mem_mb=500,
        runtime="12h",
    params:
        code=step_code("download_librispeech"),
    shell:
        r"""
        python -m engram_audio.steps.download_librispeech \
            --section {input.section:q} \
            --receipt {output.receipt:q} \
            --subset {wildcards.subset:q} \
            >{log:q} 2>&1
        """


rule locate_corpus:
    """List a corpus's files and their digests."""
    input:
        section="<results>/config/corpora.{corpus}.json",
        receipts=download_receipts,
    output:
        source="<results>/corpus/{corpus}/source.json",
    log:
        "<logs>/corpus/{corpus}/locate.log",
    benchmark:
        "<benchmarks>/corpus/{corpus}/locate.tsv"
    wildcard_constraints:
        corpus=STUDY.corpus_pattern("librispeech", "directory"),
    conda:
        "../envs/engram.yaml"
    threads: 2
    resources:
        mem_mb=1000,
        runtime="2h",
    params:
        code=step_code("locate_corpus"),
    shell:
        r"""
        python -m engram_audio.steps.locate_corpus \
            --section {input.section:q} \
            --source {output.source:q} \
            --num-workers {threads} \
            >{log:q} 2>&1
        """


rule synthesize_demo_speech:
    """Write the demo corpus with espeak-ng."""
    input:
        section="<results>/config/corpora.{corpus}.json",
        sentences=SENTENCES,
    output:
        source="<results>/corpus/{corpus}/source.json",
    log:
        "<logs>/corpus/{corpus}/synthesize.log",
    benchmark:
        "<benchmarks>/corpus/{corpus}/synthesize.tsv"
    wildcard_constraints:
        corpus=STUDY.corpus_pattern("demo_speech"),
    conda:
        "../envs/engram.yaml"
    threads: 2
    resources:
        mem_mb=1000,
        runtime="1h",
    params:
        code=step_code("synthesize_demo_speech"),
    shell:
        r"""
        python -m engram_audio.steps.synthesize_demo_speech \
            --section {input.section:q} \
            --sentences {input.sentences:q} \
            --source {output.source:q} \
            --num-workers {threads} \
            >{log:q} 2>&1
        """


rule index_corpus:
    """Decode every file: the table of utterances, and of what was excluded and why."""
    input:
        section="<results>/config/corpora.{corpus}.json",
        source="<results>/corpus/{corpus}/source.json",
    output:
        utterances="<results>/corpus/{corpus}/utterances.parquet",
        exclusions="<results>/corpus/{corpus}/exclusions.parquet",
    log:
        "<logs>/corpus/{corpus}/index.log",
    benchmark:
        "<benchmarks>/corpus/{corpus}/index.tsv"
    wildcard_constraints:
        corpus=STUDY.corpus_pattern("librispeech", "directory", "demo_speech"),
    conda:
        "../envs/engram.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime="4h",
    params:
        code=step_code("index_corpus"),
    shell:
        r"""
        python -m engram_audio.steps.index_corpus \
            --section {input.section:q} \
            --source {input.source:q} \
            --utterances {output.utterances:q} \
            --exclusions {output.exclusions:q} \
            --corpus {wildcards.corpus:q} \
            --num-workers {threads} \
            >{log:q} 2>&1
        """


rule assign_shards:
    """Deal whole speakers to shards of about equal length."""
    input:
        section="<results>/config/corpora.{corpus}.json",
        utterances="<results>/corpus/{corpus}/utterances.parquet",
    output:
        shards="<results>/corpus/{corpus}/shards.parquet",
    log:
        "<logs>/corpus/{corpus}/shards.log",
    benchmark:
        "<benchmarks>/corpus/{corpus}/shards.tsv"
    wildcard_constraints:
        corpus=STUDY.corpus_pattern("librispeech", "directory", "demo_speech"),
    conda:
        "../envs/engram.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="10m",
    params:
        code=step_code("assign_shards"),
    shell:
        r"""
        python -m engram_audio.steps.assign_shards \
            --section {input.section:q} \
            --utterances {input.utterances:q} \
            --shards {output.shards:q} \
            --corpus {wildcards.corpus:q} \
            >{log:q} 2>&1
        """


rule make_splits:
    """Speaker-disjoint train and eval, and val within the train speakers."""
    input:
        section="<results>/config/splits.json",
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
        mem_mb=1000,
        runtime="10m",
    params:
        code=step_code("make_splits"),
    shell:
        r"""
        python -m engram_audio.steps.make_splits \
            --section {input.section:q} \
            --utterances {input.utterances:q} \
            --splits {output.splits:q} \
            --split-seed {wildcards.split_seed:q} \
            >{log:q} 2>&1
        """
