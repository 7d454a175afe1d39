"""Which files the calibration gathers."""


def calibration_tables(table: str) -> list[str]:
    """One table of the structure stage for every world, surrogate and key family."""
    return [
        f"<results>/calibration/{name}/split-{seed}/{family}/{table}.parquet"
        for name in STUDY.calibration_representations()
        for seed in STUDY.split_seeds(name)
        for family in STUDY.calibration_families()
    ]


def calibration_linear() -> list[str]:
    """Linear baselines of every world and surrogate."""
    return [
        f"<results>/calibration/{name}/split-{seed}/linear.parquet"
        for name in STUDY.calibration_representations()
        for seed in STUDY.split_seeds(name)
    ]


def calibration_summaries() -> list[str]:
    """Latent summaries of every world and surrogate."""
    return [
        f"<results>/latents/{name}/summary.json" for name in STUDY.calibration_representations()
    ]


def calibration_oracles(table: str) -> list[str]:
    """Truths, or injected oracles, of every world."""
    return [f"<results>/calibration/{name}/{table}.parquet" for name in STUDY.calibration_worlds()]


def calibration_family_sections() -> list[str]:
    """Frozen sections of the families that the worlds are scored with."""
    return [
        f"<results>/config/calibration_keys.{name}.json" for name in STUDY.calibration_families()
    ]
