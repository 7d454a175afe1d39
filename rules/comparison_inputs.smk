"""Which files the comparison of codecs reads and gathers."""


def link_sections(wildcards) -> list[str]:
    """Sections of a representation and of what it is made of, the root first."""
    chain = STUDY.chain_of(wildcards.representation)
    return [f"representations.library.{name}" for name in chain]


def root_codec(wildcards) -> str:
    """The codec at the root of a representation."""
    return STUDY.codec_of(STUDY.chain_of(wildcards.representation)[0])


def root_codec_section(wildcards) -> str:
    """The section of that codec."""
    return f"codecs.library.{root_codec(wildcards)}"


def root_codec_weights(wildcards) -> list[str]:
    """The weights of that codec."""
    return STUDY.codec_files(root_codec(wildcards))


def link_noise_scale(wildcards) -> list[str]:
    """The measured scale of the channel on the way from the root, where there is one."""
    name = STUDY.noisy_link(wildcards.representation)
    return [f"<results>/latents/{name}/noise_scale.safetensors"] if name else []


def root_weights(wildcards) -> dict[str, dict[str, str]]:
    """Pinned digests of the weights of that codec, where a user's path names them."""
    return pinned_weights(root_codec(wildcards))


def root_code(wildcards) -> tuple[tuple[str, ...], str]:
    """The code of the codec at the root of a representation."""
    return codec_code(root_codec(wildcards))


def reconstruction_scores() -> list[str]:
    """Scores of every compared representation that can be decoded."""
    return [f"<results>/reconstruction/{name}/scores.parquet" for name in STUDY.reconstructed()]


def compared_structure(wildcards) -> str:
    """The published keys; stops a study that asks for codecs.csv and compares nothing."""
    if not STUDY.compared():
        raise WorkflowError(
            "comparison.compared.representations is empty, so there is no codecs.csv; name "
            "representations that are predicted"
        )
    return "<results>/tables/structure.csv"


def compared_scores() -> list[str]:
    """Lag-1 scores of heads and nulls, first training seed, of all that the table reads."""
    seed = STUDY.config.prediction.seeds[0]
    return [
        f"<results>/prediction/{name}/{scored}/seed-{seed}/scores.parquet"
        for name in STUDY.comparison_inputs()
        for scored in (*(f"lag-1/{head}" for head in STUDY.prediction_heads(name)), "nulls")
    ]


def compared_summaries() -> list[str]:
    """Latent summaries of the same."""
    return [f"<results>/latents/{name}/summary.json" for name in STUDY.comparison_inputs()]


def compared_origins() -> dict[str, dict]:
    """Where each compared representation that is no surrogate comes from.

    Without a codec the root is the family.
    """
    names = [name for name in STUDY.comparison_inputs() if STUDY.surrogate_of(name) is None]
    return {name: root_origin(STUDY.chain_of(name)[0]) for name in names}


def root_origin(root: str) -> dict:
    """The codec of a root representation, its family, and its audio's permuted blocks."""
    row = STUDY.config.representations.library[root]
    if row.kind != "codec":
        return {"codec": "", "family": root, "permuted_block_s": None}
    family = STUDY.config.codecs.library[row.codec].kind
    return {"codec": row.codec, "family": family, "permuted_block_s": row.permute_blocks_s}
