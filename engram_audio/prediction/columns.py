"""The published tables of the prediction stage."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import (
    CHOSEN_ON,
    INTERVAL_OVER,
    LAG_FRAMES,
    MARGINAL,
    MARGINAL_HAS_STOPPED,
    NUM_FRAMES,
    NUM_SEEDS,
    NUM_SPEAKERS,
    PART,
    REPRESENTATION,
    SEED,
    SLICE,
    TUNED_POINT,
    TUNING_NOTE,
)

TARGET = Column("target", "delta: x_t - x_{t-1}. position: x_t.", title="Target",
                is_text=True)  # fmt: skip
MODEL = Column("model", "Head or null.", title="Model", is_text=True)
KNOWS = Column("knows", "`past`: context of the same utterance. `speaker`: also other utterances "
               "of the speaker.", is_text=True)  # fmt: skip
NATS = "nats/frame"
COVERAGE = "Values inside the central {level} % of samples, over dimensions."
DENSITY = "How often the rank of the true density among samples lies in its central 50 or 90 %."

PREDICTION = Table(
    "prediction",
    "representation, training seed, lag, target, model, part and slice",
    (
        REPRESENTATION, SEED, LAG_FRAMES, TARGET, MODEL,
        Column("kind", "`head` or `null`.", is_text=True),
        KNOWS,
        PART,
        SLICE,
        NUM_FRAMES,
        NUM_SPEAKERS,
        Column("noise_nats", "What dequantisation noise costs the best linear null.", NATS,
               "Cost of the noise"),
        Column("num_mean", "Targets with scores of the mean, and of samples.", "frames"),
        Column("num_sampled", "Targets with scores of the mean, and of samples.", "frames"),
        Column("nll_mean", "NLL. Never read alone: one frame can make it.", NATS, "Mean NLL",
               has_interval=True),
        Column("nll_select_less_val", "NLL on select less that on val.", NATS, "Select less val"),
        Column("nll_median", "Median, trimmed mean (`trimmed_fraction` at each end) and quantile "
               "in percent, over stored frames.", NATS, "Median"),
        Column("nll_trimmed", "Median, trimmed mean (`trimmed_fraction` at each end) and "
               "quantile in percent, over stored frames.", NATS, "Trimmed mean"),
        Column("nll_q<number>", "Median, trimmed mean (`trimmed_fraction` at each end) and "
               "quantile in percent, over stored frames.", NATS, "quantile"),
        Column("num_stored", "Frames behind these, and those left out as not finite.", "frames",
               "Stored"),
        Column("num_not_finite", "Frames behind these, and those left out as not finite.", "frames",
               "Not finite"),
        CHOSEN_ON,
        Column("best_null", "Null of the same event that is best on `chosen_on`, slice `all`.",
               title="Best null", is_text=True),
        Column("gain_nats", "Headline. What context buys: NLL of the best null less the model's, "
               "paired. 0 on white noise.", NATS, "Gain over the best null", has_interval=True),
        Column("gain_seeds_nats", "Mean of gain_nats over training seeds, each over its own null.",
               NATS, "Gain, all seeds", has_interval=True),
        Column("gain_seeds_bits_per_s", "gain_seeds_nats in bits.", "bits/s", has_interval=True),
        Column("gain_seeds_freedom", "Degrees of freedom of its interval."),
        NUM_SEEDS,
        INTERVAL_OVER,
        Column("near_gain_nats_lowest", "gain_nats of tuned points that are as good on "
               "`chosen_on`.", NATS),
        Column("near_gain_nats_highest", "gain_nats of tuned points that are as good on "
               "`chosen_on`.", NATS),
        Column("gain_bits_per_s", "gain_nats in bits.", "bits/s", "Gain", has_interval=True),
        Column("gain_median_nats", "Median gain over stored frames.", NATS, "Median gain"),
        MARGINAL,
        MARGINAL_HAS_STOPPED,
        Column("information_nats", "Gain over the marginal. For delta at lag 1 it contains mean "
               "reversion.", NATS, "Over the marginal", has_interval=True),
        Column("dnll_first_experiment", "As the first experiment scored it: over one diagonal "
               "Gaussian of delta, negative is better.", NATS, "First dNLL", has_interval=True),
        Column("dnll_mean_reversion", "Its three parts, which add up: mean reversion, shape of "
               "the marginal, context.", NATS, "of it mean reversion"),
        Column("dnll_shape", "Its three parts, which add up: mean reversion, shape of the "
               "marginal, context.", NATS, "of it shape"),
        Column("dnll_context", "Its three parts, which add up: mean reversion, shape of the "
               "marginal, context.", NATS),
        Column("dnll_context_null", "The third part of the best null.", NATS, "of it linear"),
        Column("information_nats_per_dim", "information_nats over D.", "nats/dim"),
        Column("cosine_mean", "Mean cosine of truth and conditional mean, samples, or the best "
               "of `num_samples` samples.", title="Cosine of the mean", has_interval=True,
               has_null=True, quotient=("cosine_mean", "num_mean")),
        Column("cosine_sample", "Mean cosine of truth and conditional mean, samples, or the best "
               "of `num_samples` samples.", title="Cosine of samples", has_interval=True,
               has_null=True, quotient=("cosine_sample", "num_sampled")),
        Column("cosine_best", "Mean cosine of truth and conditional mean, samples, or the best "
               "of `num_samples` samples.", has_interval=True, has_null=True,
               quotient=("cosine_best", "num_sampled")),
        Column("energy_score", "E|X - y| - 1/2 E|X - X'|, unbiased. Strictly proper, lower is "
               "better.", "latent units", "Energy score", has_interval=True, has_null=True,
               quotient=("energy_score", "num_sampled")),
        *(Column(f"info_nce_bits_{of}", "log2 N + log2 softmax of the true future among frames "
                 "of the same utterance or speaker. At most log2(num_negatives + 1), null 0.",
                 "bits", title, has_interval=True,
                 quotient=(f"info_nce_bits_{of}", f"num_info_nce_{of}"))
          for of, title in (("utterance", "InfoNCE"), ("speaker", "InfoNCE, speaker"))),
        Column("coverage_50_per_dimension", COVERAGE.format(level=50), has_interval=True,
               quotient=("coverage_50_per_dimension", "num_sampled")),
        Column("coverage_90_per_dimension", COVERAGE.format(level=90) + " Calibrated: .9. It "
               "hides a law that is off on one side only: read both ends.",
               title="Coverage at 90 %", has_interval=True,
               quotient=("coverage_90_per_dimension", "num_sampled")),
        *(Column(f"{end}_range_per_dimension", "Values below and above that range. Calibrated: "
                 ".05. More at both ends: too narrow. More at one: off centre.",
                 title=f"{end.capitalize()} 90 %", has_interval=True,
                 quotient=(f"{end}_range_per_dimension", "num_sampled"))
          for end in ("below", "above")),
        *(Column(f"coverage_{level}_density", DENSITY,
                 has_interval=True, quotient=(f"coverage_{level}_density", "num_sampled"))
          for level in (50, 90)),
        *(Column(f"{end}_range_density", f"How often that rank lies {end} its central 90 %. "
                 f"Calibrated: .05. {words}", has_interval=True,
                 quotient=(f"{end}_range_density", "num_sampled"))
          for end, words in (("below", "More: the truth is less likely than samples, too narrow a "
                              "law."), ("above", "More: too wide a law."))),
        Column("decoder_cosine_mean", "cosine_mean and explained_all after the decoder's "
               "Jacobian, where it is linear.", has_interval=True, has_null=True,
               quotient=("decoder_cosine_mean", "num_mean")),
        Column("cosine_white_noise", "Cosine of white noise as D grows: 1/sqrt 2 for delta at "
               "lag 1, else 0."),
        Column("log_magnitude_r2_mean", "R² of log length, from the mean's length (which is "
               "short) or from its expectation over samples (proper).", has_null=True),
        Column("log_magnitude_r2_sample", "R² of log length, from the mean's length (which is "
               "short) or from its expectation over samples (proper).", title="R² of log length",
               has_null=True),
        Column("explained_all", "1 - SSE / SST of the conditional mean, all dimensions or "
               "principal directions.", has_null=True),
        Column("explained_pc_<number>_<number>", "1 - SSE / SST of the conditional mean, all "
               "dimensions or principal directions.", has_null=True),
        Column("decoder_explained", "cosine_mean and explained_all after the decoder's Jacobian, "
               "where it is linear."),
        Column("strongest_null", "The null that is best on the scored frames themselves.",
               is_text=True),
        Column("gain_strongest_nats", "Gain over strongest_null, a lower bound. Much below "
               "gain_nats, the best null does not carry over.", NATS, has_interval=True),
        Column("surrogate_<name>_gain_nats", "The same of the same model on that surrogate, over "
               "its own nulls.", NATS),
        Column("surrogate_<name>_information_nats", "The same of the same model on that "
               "surrogate, over its own nulls.", NATS),
    ),
    notes=(
        "At lag 1 both targets are one event with the same NLL. At larger lags compare within a "
        "target only.",
        "Nulls: `gaussian_marginal[_full]_<space>` and `<head>_marginal_<space>` (a head's family) "
        "have no context. `ridge[_full]` is a VAR on the same context, `ridge_mixture` its mean "
        "with a static mixture of its residuals. `ar1[_full]` is AR(1), `speaker_ar1` that beside "
        "the mean of the speaker's *other* utterances. `_full`: full residual covariance. The best "
        "null and the strongest null know the past only, as heads do.",
    ),
)  # fmt: skip
WORST_FRAMES = Table(
    "worst_frames",
    "frame: the `num_worst_frames` largest NLL of each model and part, worst first",
    (
        REPRESENTATION, SEED, LAG_FRAMES, TARGET, MODEL, PART,
        Column("utterance_id", "Names in the corpus.", title="Utterance", is_text=True),
        Column("speaker_id", "Names in the corpus.", is_text=True),
        Column("frame", "Frame within the utterance.", "frames", "t"),
        Column("delta_norm", "|x_t - x_{t-1}|.", "latent units", "Length of the step"),
        Column("slices", "Slices that hold the frame.", title="Slices", is_text=True),
        Column("nll", "NLL of this frame.", "nats", "NLL"),
    ),
)  # fmt: skip
PREDICTION_CALIBRATION = Table(
    "prediction_calibration",
    "bin of a PIT histogram",
    (
        Column("kind", "`per_dimension`: rank of each coordinate among its samples. `density`: "
               "rank of the density.", is_text=True),
        Column("bin", "Bin of the rank, from low."),
        Column("count", "Truths in the bin. Flat when calibrated."),
        MODEL, LAG_FRAMES, TARGET, PART, REPRESENTATION, SEED,
    ),
)  # fmt: skip
PREDICTION_ROLLOUT = Table(
    "prediction_rollout",
    "head, lag, target and horizon: the first experiment's free-running score on eval",
    (
        Column("horizon_frames", "Steps rolled out by the mean.", "frames", "Horizon"),
        Column("num_paths", "Paths started, and those finite with an RMS below "
               "`divergence_factor` SD.", "paths", "Paths"),
        Column("num_alive", "Paths started, and those finite with an RMS below "
               "`divergence_factor` SD.", "paths", "Alive"),
        Column("dnll_mean", "dNLL over paths alive: the true next delta under the dreamt "
               "context, less the Gaussian marginal.", NATS, "dNLL, mean"),
        Column("dnll_median", "dNLL over paths alive: the true next delta under the dreamt "
               "context, less the Gaussian marginal.", NATS, "dNLL, median"),
        Column("state_rms", "Spread of dreamt frames. 1: as the data.", "SD", "Spread"),
        Column("state_error", "RMS distance of dreamt frames from true ones.", "SD"),
        Column("step_ratio", "Dreamt over true RMS step. Towards 0 a mean rollout stops moving.",
               "of the true", "Step length"),
        MODEL, LAG_FRAMES, TARGET, REPRESENTATION, SEED,
    ),
    notes=(
        "The mean is fed back. Kept for comparison: it ranks the true model among the worst.",
    ),
)  # fmt: skip
PREDICTION_TUNING = Table(
    "prediction_tuning",
    "head and point of its tuning",
    (
        REPRESENTATION, LAG_FRAMES,
        Column("head", "The head.", title="Head", is_text=True),
        SEED, *TUNED_POINT,
    ),
    notes=(TUNING_NOTE,),
)  # fmt: skip
