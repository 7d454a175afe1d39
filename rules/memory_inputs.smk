"""Which files the memory stage reads and gathers."""


def memory_recipe(wildcards) -> str:
    """The training recipe that an Engram memory names."""
    name = STUDY.config.memory.library[wildcards.memory].recipe
    return f"recipes.{name}"


def matched_recipe(wildcards) -> str:
    """The recipe of the matched models: an Engram memory's, that of the head below, or the controls'."""
    memory = STUDY.config.memory.library[wildcards.memory]
    if memory.kind == "engram":
        return f"recipes.{memory.recipe}"
    if STUDY.has_head_base(wildcards.base, wildcards.memory):
        return f"recipes.{STUDY.head_recipe(wildcards.base)}"
    return f"recipes.{STUDY.config.memory.controls.recipe}"


def matched_head(wildcards) -> str:
    """The family of the matched models: the base's own, or that of the controls."""
    name = STUDY.matched_head(wildcards.base)
    return f"prediction.library.{name}"


def fold_recipe(wildcards) -> str:
    """The recipe of a head, also without a fold."""
    return f"recipes.{STUDY.head_recipe(wildcards.head)}"


def engram_head(wildcards) -> str:
    """The section of the head that an Engram memory is trained with."""
    return f"prediction.library.{STUDY.config.memory.library[wildcards.memory].head}"


def base_model(wildcards) -> list[str]:
    """The trained head under a memory; nothing under the linear base or an Engram memory."""
    if not STUDY.has_head_base(wildcards.base, wildcards.memory):
        return []
    name, lag, seed = wildcards.representation, wildcards.lag, wildcards.seed
    return [f"<results>/prediction/{name}/lag-{lag}/{wildcards.base}/seed-{seed}/model.safetensors"]


def base_folds(wildcards) -> list[str]:
    """The same head without each fold of speakers."""
    if not STUDY.has_head_base(wildcards.base, wildcards.memory):
        return []
    name, lag, seed = wildcards.representation, wildcards.lag, wildcards.seed
    return [
        f"<results>/memory/{name}/lag-{lag}/folds/{wildcards.base}/seed-{seed}/fold-{fold}.safetensors"
        for fold in range(STUDY.config.memory.num_folds)
    ]


def memory_files(name: str) -> list[str]:
    """One file of every memory."""
    return [
        f"<results>/memory/{rep}/lag-{lag}/{base}/{memory}/seed-{seed}/{name}"
        for rep, lag, base, memory, seed in STUDY.memory_runs()
    ]


def memory_direct_scores() -> list[str]:
    """Scores of heads and nulls on the representations with memories, of the memories' seeds."""
    stage = STUDY.config.memory
    if not STUDY.memory_runs():
        return []
    return [
        f"<results>/prediction/{rep}/{scored}/seed-{seed}/scores.parquet"
        for rep in stage.representations
        for seed in stage.seeds
        for scored in (
            *(
                f"lag-{lag}/{head}"
                for lag in stage.lags_frames
                for head in STUDY.prediction_heads(rep)
            ),
            "nulls",
        )
    ]
