"""Which tables the decision gathers."""


def structure_tables(table: str) -> list[str]:
    """One table of the structure stage for every representation, split and key family."""
    return [
        f"<results>/structure/{name}/split-{seed}/{family}/{table}.parquet"
        for name in STUDY.representations()
        for seed in STUDY.split_seeds(name)
        for family in STUDY.key_families()
    ]


def linear_tables() -> list[str]:
    """Linear baselines of every representation and split, in the study's order."""
    return [
        f"<results>/structure/{name}/split-{seed}/linear.parquet"
        for name in STUDY.representations()
        for seed in STUDY.split_seeds(name)
    ]


def latent_summaries() -> list[str]:
    """Latent summary of every representation."""
    return [f"<results>/latents/{name}/summary.json" for name in STUDY.representations()]


def corpus_tables(table: str) -> list[str]:
    """One table of every corpus that a representation is made of, arrays and worlds included."""
    return [f"<results>/corpus/{name}/{table}.parquet" for name in STUDY.used_corpora()]


def split_tables() -> list[str]:
    """Every split of every corpus that some representation is analysed on."""
    return [
        f"<results>/splits/{corpus}/seed-{seed}/splits.parquet"
        for corpus, seed in STUDY.used_splits()
    ]
