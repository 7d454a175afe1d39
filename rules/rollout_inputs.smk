"""Which files the rollout stage reads and gathers."""


def rollout_recipe(wildcards) -> list[str]:
    """The training recipe that a rollout method names; nothing where nothing is trained."""
    name = STUDY.rollout_recipe(wildcards.method)
    return [f"recipes.{name}"] if name else []


def rollout_base(wildcards) -> list[str]:
    """The trained density that takes a rollout method's steps; nothing where there is none."""
    head = STUDY.rollout_base(wildcards.method)
    name, seed = wildcards.representation, wildcards.seed
    path = f"<results>/prediction/{name}/lag-1/{head}/seed-{seed}/model.safetensors"
    return [path] if head else []


def rollout_memory(wildcards) -> list[str]:
    """The memory that takes a rollout method's steps; nothing where none does."""
    return _rollout_memory(wildcards.representation, wildcards.method, wildcards.seed)


def _rollout_memory(name, method, seed) -> list[str]:
    found = STUDY.rollout_memory(method)
    if found is None:
        return []
    base, memory = found
    return [f"<results>/memory/{name}/lag-1/{base}/{memory}/seed-{seed}/memory.safetensors"]


def refit_tuned(wildcards) -> list[str]:
    """The tuned head that a lookup is fitted on anew; nothing for other methods."""
    return _refit_tuned(wildcards.representation, wildcards.method, wildcards.seed)


def _refit_tuned(name, method, seed) -> list[str]:
    refit = STUDY.rollout_refit(method)
    path = f"<results>/rollout/{name}/{refit and refit.method}/seed-{seed}/model.safetensors"
    return [path] if refit else []


def refit_section(wildcards) -> list[str]:
    """The section of that head's method."""
    refit = STUDY.rollout_refit(wildcards.method)
    return [f"rollout.library.{refit.method}"] if refit else []


def refit_lookup(wildcards) -> str:
    """The section of the lookup that is fitted anew."""
    return f"memory.library.{STUDY.rollout_refit(wildcards.method).memory}"


def refit_folds(wildcards) -> list[str]:
    """The head without each fold of speakers."""
    head = STUDY.rollout_base(wildcards.method)
    name, seed = wildcards.representation, wildcards.seed
    return [
        f"<results>/memory/{name}/lag-1/folds/{head}/seed-{seed}/fold-{fold}.safetensors"
        for fold in range(STUDY.config.memory.num_folds)
    ]


def first_rollout_memory(wildcards) -> list[str]:
    """A rollout method's memory of the first training seed."""
    seed = STUDY.config.rollout.seeds[0]
    return _rollout_memory(wildcards.representation, wildcards.method, seed)


def first_refit_tuned(wildcards) -> list[str]:
    """A refitted lookup's tuned head of the first training seed."""
    seed = STUDY.config.rollout.seeds[0]
    return _refit_tuned(wildcards.representation, wildcards.method, seed)


def rollout_files(name: str) -> list[str]:
    """One file of every rollout method."""
    return [
        f"<results>/rollout/{rep}/{run}/seed-{seed}/{name}"
        for rep, run, seed in STUDY.rollout_runs()
    ]


def rollout_sweeps() -> dict[str, str]:
    """The sweep of every rollout method; nothing for a named one."""
    return {run: STUDY.rollout_sweep(run) for run in STUDY.config.rollout.library}


def first_rollout(wildcards) -> str:
    """A rollout method of the first training seed."""
    seed = STUDY.config.rollout.seeds[0]
    name, run = wildcards.representation, wildcards.method
    return f"<results>/rollout/{name}/{run}/seed-{seed}/model.safetensors"


def first_rollout_base(wildcards) -> list[str]:
    """Its base."""
    head, name = STUDY.rollout_base(wildcards.method), wildcards.representation
    seed = STUDY.config.rollout.seeds[0]
    path = f"<results>/prediction/{name}/lag-1/{head}/seed-{seed}/model.safetensors"
    return [path] if head else []


def rolled_out() -> list[str]:
    """Players of every named stepwise method on every representation that a codec decodes."""
    return [
        f"<results>/report_assets/{name}.rollout.{run}/players.json"
        for name in STUDY.config.rollout.representations
        if STUDY.config.representations.library[name].kind == "codec"
        for run in STUDY.rollout_players()
        if STUDY.config.report.num_players
    ]
