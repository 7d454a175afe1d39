"""Which latents a representation is made of."""


def source_shard(wildcards) -> str:
    """The shard that a shard of a derived representation is made of."""
    source = STUDY.source_of(wildcards.representation)
    return f"<results>/latents/{source}/shard-{wildcards.shard}.zarr.zip"


def source_shards(wildcards) -> list[str]:
    """All shards that a derived representation is made of."""
    source = STUDY.source_of(wildcards.representation)
    return [f"<results>/latents/{source}/shard-{shard}.zarr.zip" for shard in STUDY.shards(source)]
