"""Which files the factorizer stage reads and gathers."""


def factorizer_recipe(wildcards) -> str:
    """The training recipe that a factoriser names."""
    name = STUDY.factorizer_recipe(wildcards.factorizer)
    return f"recipes.{name}"


def factorizer_files(name: str) -> list[str]:
    """One file of every trained factoriser."""
    return [
        f"<results>/factorizer/{rep}/{run}/seed-{seed}/{name}"
        for rep, run, seed in STUDY.factorizer_runs()
    ]


def direct_scores() -> list[str]:
    """Lag-1 scores of heads and nulls on the factorised representations, first training seed."""
    stage, prediction = STUDY.config.factorizer, STUDY.config.prediction
    seed = prediction.seeds[0]
    return [
        f"<results>/prediction/{rep}/{scored}/seed-{seed}/scores.parquet"
        for rep in stage.representations
        for scored in (
            *(f"lag-1/{head}" for head in STUDY.prediction_heads(rep)),
            "nulls",
        )
    ]


def factorizer_sweeps() -> dict[str, str]:
    """The sweep of every trained factoriser; nothing for a variant."""
    return {run: STUDY.sweep_of(run) for run in STUDY.config.factorizer.library}


def state_model(wildcards) -> str:
    """The factoriser whose z_dyn a representation is."""
    row = STUDY.state_of(wildcards.representation)
    return f"<results>/factorizer/{row.source}/{row.factorizer}/seed-{row.seed}/model.safetensors"


def state_source(wildcards) -> str:
    """The shard of latents that a shard of z_dyn is made of."""
    row = STUDY.state_of(wildcards.representation)
    return f"<results>/latents/{row.source}/shard-{wildcards.shard}.zarr.zip"


def first_factorizer(wildcards) -> str:
    """A factoriser of the first training seed."""
    seed = STUDY.config.factorizer.seeds[0]
    name, run = wildcards.representation, wildcards.factorizer
    return f"<results>/factorizer/{name}/{run}/seed-{seed}/model.safetensors"


def state_sources() -> dict[str, str]:
    """The source of every exported z_dyn."""
    return {name: STUDY.state_of(name).source for name in STUDY.exported_states()}


def state_summaries() -> list[str]:
    """Latent summaries of exported z_dyn and of their sources."""
    names = [STUDY.state_of(name).source for name in STUDY.exported_states()]
    names += STUDY.exported_states()
    return [f"<results>/latents/{name}/summary.json" for name in dict.fromkeys(names)]


def state_predictions() -> list[str]:
    """The prediction table, where some z_dyn is predicted."""
    is_predicted = any(name in STUDY.predicted() for name in STUDY.exported_states())
    return ["<results>/tables/prediction.csv"] if is_predicted else []


def resynthesized() -> list[str]:
    """Players of every variant on every factorised representation that a codec decodes."""
    return [
        f"<results>/report_assets/{name}.{run}/players.json"
        for name in STUDY.config.factorizer.representations
        if STUDY.config.representations.library[name].kind == "codec"
        for run in STUDY.config.factorizer.variants
        if STUDY.config.report.num_players
    ]
