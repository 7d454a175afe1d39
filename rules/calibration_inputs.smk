"""Which files the calibration gathers."""


def world_tables(table: str):
    """Input function: one table of the structure stage for a world, its surrogates, each family."""

    def paths(wildcards) -> list[str]:
        return [
            f"<results>/calibration/{name}/split-{seed}/{family}/{table}.parquet"
            for name in STUDY.with_surrogates([wildcards.representation])
            for seed in STUDY.split_seeds(name)
            for family in STUDY.calibration_families()
        ]

    return paths


def world_linear(wildcards) -> list[str]:
    """Linear baselines of a world and its surrogates."""
    return [
        f"<results>/calibration/{name}/split-{seed}/linear.parquet"
        for name in STUDY.with_surrogates([wildcards.representation])
        for seed in STUDY.split_seeds(name)
    ]


def world_summaries(wildcards) -> list[str]:
    """Latent summaries of a world and its surrogates."""
    names = STUDY.with_surrogates([wildcards.representation])
    return [f"<results>/latents/{name}/summary.json" for name in names]


def of_each_world(file: str) -> list[str]:
    """One file of every world."""
    return [f"<results>/calibration/{name}/{file}" for name in STUDY.calibration_worlds()]


def calibration_family_sections(wildcards) -> list[str]:
    """Sections of the families that the worlds are scored with."""
    return [f"calibration.families.{name}" for name in STUDY.calibration_families()]
