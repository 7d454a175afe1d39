"""One target for each question: `snakemake structure` ends in results/structure.html."""

BEFORE_STATES = f"<results>/{questions.BEFORE_STATES}"


wildcard_constraints:
    question="|".join(questions.QUESTIONS),


localrules:
    structure,
    prediction,
    factorizer,
    memory,
    codecs,
    rollout,
    render_question,


def page_tables(wildcards) -> list[str]:
    """Tables of a question's page."""
    try:
        return [f"<results>/{path}" for path in questions.tables_of_page(PLAN, wildcards.question)]
    except InputError as error:
        raise WorkflowError(str(error)) from None


def page_documents(wildcards) -> list[str]:
    """The decision on what the page shows."""
    folder = questions.folder_of_page(PLAN, wildcards.question)
    return ["/".join(part for part in ("<results>", folder, "decision.json") if part)]


def page_cells(wildcards) -> list[str]:
    """Cells of what the page shows."""
    return of_page(wildcards, PLAN.structure.cells())


def page_latents(wildcards) -> list[str]:
    """Latent summaries of what the page shows; nothing to hear, which would decode speech."""
    return of_page(wildcards, PLAN.report.summaries())


def of_page(wildcards, paths: list[str]) -> list[str]:
    """Those of some files that the page shows."""
    is_before = questions.folder_of_page(PLAN, wildcards.question)
    return questions.without(questions.states(PLAN), paths) if is_before else paths


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


def before_states(name: str, **others) -> dict:
    """Inputs of a rule without those of any z_dyn; `others` stand in the place of its own."""
    own = {
        key: value if isinstance(value, str) else questions.without(questions.states(PLAN), value)
        for key, value in workflow.get_rule(name).input.items()
        if key not in ("settings", *others)
    }
    return {"settings": settings_as(name, f"{name}_before_states"), **own, **others}


def placed_before_states(name: str) -> dict[str, str]:
    """Outputs of a rule, below `before_states/`."""
    root = workflow.pathvars.apply("<results>")
    outputs = workflow.get_rule(name).output.items()
    return {key: f"{BEFORE_STATES}/{os.path.relpath(path, root)}" for key, path in outputs}


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
