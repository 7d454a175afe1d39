"""Settings of the codecs that the workflow fits itself: mel_pca, and the trained mel_vae, vae."""

import math
from collections.abc import Collection
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from engram_audio.choices import require
from engram_audio.kinds import Kind
from engram_audio.quantities import (
    MAXIMUM_RATE_HZ,
    Amount,
    AmountOrZero,
    Amounts,
    Count,
    CountOrZero,
    Duration,
    Frames,
    InnerShare,
    Listed,
    NumComponents,
    NumLayers,
    Seed,
    Share,
    Text,
    Width,
)
from engram_audio.section import Section
from engram_audio.training.config import TrainingRecipe, check_recipe, require_warmup

Stride = Annotated[int, Field(ge=2, le=4096)]
SpectralWindow = Annotated[int, Field(ge=16, le=2**16, multiple_of=4)]  # samples


class CodecKind(Kind):
    """What all codecs share.

    Attributes:
        TRAINER: Dotted name of the module that builds its training task; None where it is not
            trained here.
        has_linear_decoder: Whether its way back to log-mel is a matrix in its weights.
    """

    TRAINER: ClassVar[str | None] = None
    has_linear_decoder: ClassVar[bool] = False

    @property
    def fitted_on(self) -> tuple[str, int] | None:
        """Corpus and split seed whose train speakers fit it; None where it comes fitted."""
        return None

    @property
    def frames(self) -> tuple[float | None, int | None]:
        """Frames per second and dimensions, as far as the settings say."""
        return None, None

    @property
    def is_downloaded(self) -> bool:
        """Whether a rule downloads its weights."""
        return False

    def files_of(self, codec: str) -> list[str]:
        """Return the files that hold the weights of the codec of this name."""
        raise NotImplementedError

    def check(self, key: str, corpora: Collection[str], split_seeds: Collection[int]) -> None:
        """Refuse names that do not exist.

        Args:
            key: The dotted name of the section.
            corpora: All corpora.
            split_seeds: Seeds of the study's splits.

        Raises:
            ValueError: Names the key, what is wrong and what is allowed.
        """
        self.require_installed(key)


class FittedCodecSettings(CodecKind):
    """A codec that is fitted on the train split of a corpus; it is analysed on that split only."""

    uses_torch: ClassVar[bool] = False

    corpus: Text = Field(description="Corpus whose train split fits the codec.")
    split_seed: Seed = Field(description="Split whose train speakers fit the codec.")
    sample_rate_hz: Count = Field(le=MAXIMUM_RATE_HZ, description="Rate the audio is resampled to.")

    @property
    def fitted_on(self) -> tuple[str, int]:
        """See `CodecKind.fitted_on`."""
        return self.corpus, self.split_seed

    def files_of(self, codec: str) -> list[str]:
        """See `CodecKind.files_of`."""
        return [f"<results>/codecs/{codec}/weights.safetensors"]

    def check(self, key: str, corpora: Collection[str], split_seeds: Collection[int]) -> None:
        """See `CodecKind.check`."""
        require(f"{key}.corpus", self.corpus, corpora)
        require(f"{key}.split_seed", self.split_seed, split_seeds)


class MelStackSettings(FittedCodecSettings):
    """Stacked log-mel frames; Griffin-Lim decodes.

    Stacks share no samples: every window lies inside its own stack, whose ends are mirrored.
    """

    num_mels: Count = Field(ge=8, description="Mel bands.")
    hop_s: Duration = Field(le=10, description="Hop of the short-time transform, seconds.")
    window_s: Duration = Field(le=10, description="Window of the short-time transform, seconds.")
    stack_hops: Count = Field(le=1000, description="Hops stacked into one frame, without overlap.")
    magnitude_floor: InnerShare = Field(
        description="Smallest magnitude before the logarithm; full scale is 1."
    )
    griffin_lim_iterations: Count = Field(description="Iterations of the decoder.")

    @model_validator(mode="after")
    def _check_window(self) -> Self:
        for name in ("hop_s", "window_s"):
            length = getattr(self, name)
            if round(length * self.sample_rate_hz) < 1:
                raise ValueError(
                    f"{name} {length:g} is less than one sample at sample_rate_hz "
                    f"{self.sample_rate_hz}; lengthen it"
                )
        if not self.hop_s <= self.window_s <= self.hop_s * self.stack_hops:
            raise ValueError("window_s must lie between hop_s and the stack, hop_s * stack_hops")
        return self

    @property
    def hop_samples(self) -> int:
        """Samples of one frame."""
        return round(self.hop_s * self.sample_rate_hz) * self.stack_hops


class MelPcaCodecSettings(MelStackSettings):
    """Stacked log-mel frames and PCA fitted on the train split; Griffin-Lim decodes."""

    MODULE: ClassVar[str] = "engram_audio.codecs.mel_pca"
    has_linear_decoder: ClassVar[bool] = True

    kind: Literal["mel_pca"]
    num_components: NumComponents = Field(description="PCA dimension D.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.num_components > self.num_mels * self.stack_hops:
            raise ValueError("num_components must not exceed num_mels * stack_hops")
        return self

    @property
    def frames(self) -> tuple[float, int]:
        """See `CodecKind.frames`."""
        return self.sample_rate_hz / self.hop_samples, self.num_components


class CodecHealthSettings(Section):
    """When a trained codec counts as collapsed, measured on select."""

    minimum_effective_rank: Share = Field(
        description="Effective rank of the latents, as a share of num_dims."
    )
    maximum_error: Amount = Field(
        description="Squared log-mel error of the reconstruction over that of predicting the mean"
        " frame: 1 is no better than the mean.",
    )
    action: Literal["fail", "report"] = Field(
        description="fail: a collapsed codec fails its rule with the reason. report: it is kept, "
        "the reason in its manifest."
    )


class PredictabilitySettings(Section):
    """A term of the loss that asks for latents which the frame before tells."""

    kind: Literal["smoothness", "one_step"] = Field(
        description="smoothness: a frame is like the one before. one_step: it is a linear map of "
        "it, fitted to each batch."
    )
    weight: Amount = Field(
        description="Nats of loss for each unit of the term: half a log ratio of variances, summed "
        "over dimensions. Redundant dimensions count each."
    )


class TrainedCodecSettings(FittedCodecSettings):
    """A variational autoencoder that the workflow trains; its latents are posterior means."""

    TRAINER: ClassVar[str | None]
    uses_torch: ClassVar[bool] = True

    num_dims: Width = Field(description="Latent dimension D.")
    beta: Amount = Field(description="Weight of the KL in nats per frame.")
    beta_warmup_steps: CountOrZero = Field(description="Steps over which beta grows from 0.")
    predictability: PredictabilitySettings | None = Field(
        description="Asks for predictable latents beside reconstruction and rate; null: does not."
    )
    crop_s: Duration = Field(
        le=3600, description="Length of a training crop, seconds; whole frames."
    )
    maximum_train_h: Amount = Field(
        description="Hours of train speech held in memory; drawn by utterance if there is more.",
    )
    seed: Seed = Field(description="Seed of weights, crops and noise.")
    recipe: TrainingRecipe = Field(description="Training; its frames are frames of the codec.")
    health: CodecHealthSettings

    @property
    def hop_samples(self) -> int:
        """Samples of one frame."""
        raise NotImplementedError

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second."""
        return self.sample_rate_hz / self.hop_samples

    @property
    def frames(self) -> tuple[float, int]:
        """See `CodecKind.frames`."""
        return self.frame_rate_hz, self.num_dims

    @property
    def crop_frames(self) -> int:
        """Whole frames of a crop."""
        return int(self.crop_s * self.frame_rate_hz + 1e-6)

    def check(self, key: str, corpora: Collection[str], split_seeds: Collection[int]) -> None:
        """See `CodecKind.check`."""
        super().check(key, corpora, split_seeds)
        check_recipe(f"{key}.recipe", self.recipe)
        require_warmup(f"{key}.beta_warmup_steps", self.beta_warmup_steps, self.recipe)
        if self.predictability is not None and self.crop_frames < 2:
            raise ValueError(
                f"{key}.predictability: a crop has {self.crop_frames} frame, and the frame before "
                "needs two; raise crop_s"
            )


class MelVaeCodecSettings(MelStackSettings, TrainedCodecSettings):
    """VAE of log-mel stacks with a Gaussian likelihood; trains on a CPU in minutes."""

    MODULE: ClassVar[str] = "engram_audio.codecs.mel_vae"
    TRAINER: ClassVar[str | None] = "engram_audio.codecs.mel_vae_task"

    kind: Literal["mel_vae"]
    width: Width = Field(description="Width of encoder and decoder.")
    num_layers: NumLayers = Field(description="Hidden layers of each.")
    encoder_context_frames: Frames = Field(
        description="Frames up to the present that the encoder sees; 1 shares no samples."
    )
    decoder_context_frames: Frames = Field(
        description="Latents up to the present that the decoder sees."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.num_dims > self.num_mels * self.stack_hops:
            raise ValueError("num_dims must not exceed num_mels * stack_hops")
        if self.crop_frames < max(self.encoder_context_frames, self.decoder_context_frames):
            raise ValueError("crop_s must hold encoder_context_frames and decoder_context_frames")
        return self


class VaeLossSettings(Section):
    """Terms of the waveform VAE's loss beside beta times the KL."""

    waveform_weight: AmountOrZero = Field(description="Mean |difference| of samples.")
    spectral_weight: AmountOrZero = Field(
        description="Log-magnitude error plus spectral convergence, mean over windows."
    )
    spectral_windows_samples: Listed[SpectralWindow] = Field(
        min_length=1, description="Windows of the spectral loss; hops are a quarter."
    )
    magnitude_floor: InnerShare = Field(
        description="Smallest spectral magnitude before the logarithm; full scale is 1."
    )
    adversarial_weight: AmountOrZero = Field(
        description="Hinge loss against the discriminator; 0 trains none."
    )
    feature_weight: AmountOrZero = Field(description="Matching of the discriminator's features.")
    adversarial_warmup_steps: CountOrZero = Field(
        description="Steps before the discriminator trains and is listened to."
    )
    discriminator_windows_samples: Listed[SpectralWindow] = Field(
        description="Windows of the discriminator's transforms; hops are a quarter."
    )
    discriminator_channels: Width = Field(description="Channels of each discriminator.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (self.waveform_weight or self.spectral_weight or self.adversarial_weight):
            raise ValueError("loss: every term has weight 0; nothing would be reconstructed")
        if self.feature_weight and not self.adversarial_weight:
            raise ValueError(
                "loss.feature_weight: needs a discriminator, and adversarial_weight is 0"
            )
        if self.adversarial_weight and not self.discriminator_windows_samples:
            raise ValueError("loss.discriminator_windows_samples: name at least one window")
        return self


class VaeCodecSettings(TrainedCodecSettings):
    """VAE-GAN of waveforms: causal strided convolutions, as in CALM without its transformers."""

    MODULE: ClassVar[str] = "engram_audio.codecs.vae"
    TRAINER: ClassVar[str | None] = "engram_audio.codecs.vae_task"

    kind: Literal["vae"]
    strides: tuple[Stride, ...] = Field(
        min_length=1,
        max_length=16,
        description="Strides of the encoder; their product is the hop in samples.",
    )
    channels: Width = Field(description="Channels at the audio rate; each stride doubles them.")
    maximum_channels: Width = Field(description="Most channels of any layer.")
    num_residual_units: CountOrZero = Field(
        description="Residual units before each stride, dilated by 1, 3, 9, .."
    )
    loss: VaeLossSettings
    keeps: Literal["best", "last"] = Field(
        description="Weights that are kept: those of the best reconstruction plus rate on select, "
        "or the last, as adversarial training improves what that score does not see."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        crop = self.crop_frames * self.hop_samples
        windows = self.loss.spectral_windows_samples + self.loss.discriminator_windows_samples
        if crop < max(windows):
            raise ValueError(
                f"crop_s: {crop} samples of whole frames do not hold a window of {max(windows)}"
            )
        if self.channels > self.maximum_channels:
            raise ValueError(
                f"channels {self.channels} is larger than maximum_channels {self.maximum_channels}"
            )
        if self.loss.adversarial_weight:
            require_warmup(
                "loss.adversarial_warmup_steps", self.loss.adversarial_warmup_steps, self.recipe
            )
        if self.keeps == "last" and self.recipe.patience_validations is not None:
            raise ValueError("recipe.patience_validations must be null where keeps is `last`")
        return self

    @property
    def hop_samples(self) -> int:
        """Samples of one frame."""
        return math.prod(self.strides)


class CodecLadderSection(Section):
    """One trained codec at several weights of its KL: codecs `<ladder>_b<beta>`."""

    codec: Text = Field(description="Name under codecs.library, of kind mel_vae or vae.")
    betas: Amounts = Field(min_length=1, description="Values of beta.")
