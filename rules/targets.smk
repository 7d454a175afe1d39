"""One target for each question: `snakemake structure` ends in results/structure.html."""


wildcard_constraints:
    question="|".join(questions.QUESTIONS),


localrules:
    structure,
    keys,
    prediction,
    factorizer,
    memory,
    codecs,
    rollout,
    generation,
    tabulate_question_verdicts,
    render_question,


use rule tabulate_verdicts as tabulate_question_verdicts with:
    input:
        settings=settings_as("tabulate_verdicts", "tabulate_question_verdicts"),
        tables=page_judged,
        documents=page_documents,
    output:
        table="<results>/questions/{question}/verdicts.csv",
        document="<results>/questions/{question}/verdicts.json",
        changes="<results>/questions/{question}/what_would_change.csv",
    log:
        "<logs>/render_question/{question}.verdicts.log",
    benchmark:
        "<benchmarks>/render_question/{question}.verdicts.tsv"


use rule render_report as render_question with:
    input:
        settings=settings_as("render_report", "render_question"),
        tables=page_tables,
        documents=page_documents,
        cells=page_cells,
        latents=page_latents,
        templates=report_templates,
    output:
        report="<results>/{question}.html",
    log:
        "<logs>/render_question/{question}.log",
    benchmark:
        "<benchmarks>/render_question/{question}.tsv"


rule structure:
    """Does a key tell what a linear model does not?"""
    input:
        "<results>/structure.html",


rule keys:
    """How many nats about the next frame survive a small key?"""
    input:
        "<results>/keys.html",


rule prediction:
    """How many nats does context buy, beyond the nulls?"""
    input:
        "<results>/prediction.html",


rule factorizer:
    """What does the past tell, and what is new?"""
    input:
        "<results>/factorizer.html",


rule memory:
    """Does lookup add to a parametric model?"""
    input:
        "<results>/memory.html",


rule codecs:
    """Every codec side by side."""
    input:
        "<results>/codecs.html",


rule rollout:
    """Does it survive free running?"""
    input:
        "<results>/rollout.html",


rule generation:
    """Does it help a generator at equal compute?"""
    input:
        "<results>/generation.html",


if questions.states(PLAN):

    localrules:
        tabulate_structure_before_states,
        tabulate_corpus_before_states,
        tabulate_prediction_before_states,
        tabulate_diagnostics_before_states,
        tabulate_codecs_before_states,
        decide_before_states,

    use rule tabulate_structure as tabulate_structure_before_states with:
        input:
            **before_states("tabulate_structure"),
        output:
            **placed_before_states("tabulate_structure"),
        log:
            "<logs>/before_states/tabulate_structure.log",
        benchmark:
            "<benchmarks>/before_states/tabulate_structure.tsv"

    use rule tabulate_corpus as tabulate_corpus_before_states with:
        input:
            **before_states("tabulate_corpus"),
        output:
            **placed_before_states("tabulate_corpus"),
        log:
            "<logs>/before_states/tabulate_corpus.log",
        benchmark:
            "<benchmarks>/before_states/tabulate_corpus.tsv"

    use rule tabulate_prediction as tabulate_prediction_before_states with:
        input:
            **before_states("tabulate_prediction"),
        output:
            **placed_before_states("tabulate_prediction"),
        log:
            "<logs>/before_states/tabulate_prediction.log",
        benchmark:
            "<benchmarks>/before_states/tabulate_prediction.tsv"

    use rule tabulate_diagnostics as tabulate_diagnostics_before_states with:
        input:
            **before_states("tabulate_diagnostics"),
        output:
            **placed_before_states("tabulate_diagnostics"),
        log:
            "<logs>/before_states/tabulate_diagnostics.log",
        benchmark:
            "<benchmarks>/before_states/tabulate_diagnostics.tsv"

    use rule tabulate_codecs as tabulate_codecs_before_states with:
        input:
            **before_states("tabulate_codecs", structure=f"{BEFORE_STATES}/tables/structure.csv"),
        output:
            **placed_before_states("tabulate_codecs"),
        log:
            "<logs>/before_states/tabulate_codecs.log",
        benchmark:
            "<benchmarks>/before_states/tabulate_codecs.tsv"

    use rule decide as decide_before_states with:
        input:
            **before_states(
                "decide",
                structure=f"{BEFORE_STATES}/tables/structure.csv",
                linear=f"{BEFORE_STATES}/tables/linear.csv",
            ),
        output:
            **placed_before_states("decide"),
        log:
            "<logs>/before_states/decide.log",
        benchmark:
            "<benchmarks>/before_states/decide.tsv"
