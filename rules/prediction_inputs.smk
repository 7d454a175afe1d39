"""Input files of the prediction rules, as the study names them."""


def prediction_splits(wildcards) -> str:
    """The splits that a representation's predictions are made on: its first split seed."""
    name = wildcards.representation
    seed = STUDY.split_seeds(name)[0]
    return f"<results>/splits/{STUDY.corpus_of(name)}/seed-{seed}/splits.parquet"


def head_recipe(wildcards) -> str:
    """The training recipe that a head names."""
    return f"recipes.{STUDY.head_recipe(wildcards.head)}"


def marginal_recipe(wildcards) -> str:
    """The training recipe of a head's marginal, where EM does not apply."""
    return f"recipes.{STUDY.marginal_recipe(wildcards.head)}"


def marginals_of(wildcards) -> list[str]:
    """The marginals of all heads of a representation."""
    name, seed = wildcards.representation, wildcards.seed
    return [
        f"<results>/prediction/{name}/marginal/{head}/seed-{seed}/marginal.safetensors"
        for head in STUDY.prediction_heads(name)
    ]


def decoder_weights(wildcards) -> list[str]:
    """Weights of the representation's codec where its decoder is linear; else nothing."""
    codec = STUDY.linear_codec(wildcards.representation)
    return [f"<results>/codecs/{codec}/weights.safetensors"] if codec else []


def scored_tables(name: str, with_nulls: bool) -> list[str]:
    """All tables of one name: those of the heads and, where they exist, of the nulls."""
    root = "<results>/prediction"
    paths = [
        f"{root}/{rep}/lag-{lag}/{head}/seed-{seed}/{name}.parquet"
        for rep, lag, head, seed in STUDY.prediction_runs()
    ]
    if with_nulls:
        paths += [
            f"{root}/{rep}/nulls/seed-{seed}/{name}.parquet"
            for rep in STUDY.predicted()
            for seed in STUDY.config.prediction.seeds
        ]
    return paths
