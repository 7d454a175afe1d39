"""Input functions of the pages: of the whole study, and of one question."""

from snakemake.io import regex_from_filepattern

from engram_audio.report.section_modules import section_modules

# Relative, so that a moved checkout reruns nothing.
TEMPLATES = os.path.relpath(os.path.join(HOME, "report_templates"))
VERIFY_SCRIPTS = [
    os.path.relpath(os.path.join(HOME, "verify", f"{name}.py"))
    for name in ("__main__", "structure", "study")
]
RENDERERS = ("render_report", "render_question")  # a page does not time pages
REPORT_TABLES = questions.tables_of_report(PLAN)
BEFORE_STATES = f"<results>/{questions.BEFORE_STATES}"


def report_templates(wildcards) -> list[str]:
    """Page, partials, style and script."""
    found = []
    for folder, _, names in sorted(os.walk(TEMPLATES)):
        found += [
            os.path.join(folder, name)
            for name in sorted(names)
            if name.endswith((".j2", ".css", ".js"))
        ]
    return found


def section_code(wildcards) -> tuple[tuple[str, ...], str]:
    """The modules of the page's sections, which are found and not named."""
    return section_modules(), ""


def rule_benchmarks() -> dict[str, str]:
    """Regular expression of each rule's benchmark files, without rules that this study never runs.

    A job of many members counts under the rule of its members.
    """
    idle = {*RENDERERS, *PLAN.idle_rules()}
    together = workflow.pathvars.apply("<benchmarks>/members")
    return {
        item.name: rf"{regex_from_filepattern(item.benchmark)}|{together}/{item.name}_of_\w+\.tsv"
        for item in workflow.rules
        if item.benchmark
        and item.name not in idle
        and "(?!)" not in str(item.benchmark)
        and not str(item.benchmark).startswith(f"{together}/")
    }


def page_tables(wildcards) -> list[str]:
    """Tables of a question's page."""
    try:
        names = questions.tables_of_page(PLAN, wildcards.question)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    own = f"<results>/questions/{wildcards.question}"
    judged = [f"{own}/verdicts.csv", f"{own}/what_would_change.csv"]
    return [*(f"<results>/{name}" for name in names), *judged]


def page_judged(wildcards) -> list[str]:
    """Those of these tables that its verdicts are judged from."""
    return [f"<results>/{name}" for name in questions.judged_of_page(PLAN, wildcards.question)]


def page_documents(wildcards) -> list[str]:
    """The decision on what the page shows."""
    folder = questions.folder_of_page(PLAN, wildcards.question)
    return [os.path.join("<results>", folder, "decision.json")]


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


def before_states(name: str, **others) -> dict:
    """Inputs of a rule without those of any z_dyn; `others` stand in the place of its own."""
    own = {
        key: value if isinstance(value, str) else questions.without(questions.states(PLAN), value)
        for key, value in rule_named(name).input.items()
        if key not in ("settings", *others)
    }
    return {"settings": settings_as(name, f"{name}_before_states"), **own, **others}


def placed_before_states(name: str) -> dict[str, str]:
    """Outputs of a rule, below `before_states/`."""
    root = workflow.pathvars.apply("<results>")
    outputs = rule_named(name).output.items()
    return {key: f"{BEFORE_STATES}/{os.path.relpath(path, root)}" for key, path in outputs}
