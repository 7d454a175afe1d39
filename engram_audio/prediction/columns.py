"""The published tables of the prediction stage."""

from engram_audio.artifacts.columns import Column, Table
from engram_audio.corpus.columns import CHOSEN_ON, PART, TUNED_POINT, TUNING_NOTE

REPRESENTATION = Column("representation", "What was scored.", title="Representation", is_text=True)
SEED = Column("seed", "Of the training.", title="Seed")
LAG_FRAMES = Column("lag_frames", "How stale the context is. 0: all lags, a marginal.", "frames",
                    "Lag")  # fmt: skip
TARGET = Column("target", "delta: x_t - x_{t-1}. position: x_t. They are one event at lag 1.",
                title="Target", is_text=True)  # fmt: skip
MODEL = Column("model", "A head, or a null.", title="Model", is_text=True)
KNOWS = Column("knows", "`past`: the context of the same utterance. `speaker`: other utterances "
               "of the speaker as well.", is_text=True)  # fmt: skip
NATS = "nats/frame"
COVERAGE = "Share of values inside the central {level} % of samples, over dimensions."
DENSITY = "How often the rank of the true density among those of samples lies in its central {} %."

PREDICTION = Table(
    "prediction",
    "representation, training seed, lag, target, model, part and slice",
    (
        REPRESENTATION, SEED, LAG_FRAMES, TARGET, MODEL,
        Column("kind", "`head` or `null`.", is_text=True),
        KNOWS,
        PART,
        Column("slice", "Frames that are scored.", title="Slice", is_text=True),
        Column("num_frames", "Scored frames.", "frames", "Frames"),
        Column("num_speakers", "Speakers: the n of the intervals.", "speakers", "Speakers"),
        Column("noise_nats", "What the dequantisation noise on target and context costs the best "
               "linear null, all as Gaussians. A sharper predictor loses more.", NATS,
               "Cost of the noise"),
        Column("num_mean", "Targets with scores of the mean: all, or those with samples where a "
               "mean is an average of samples (flow).", "frames"),
        Column("num_sampled", "Targets with scores of samples.", "frames"),
        Column("nll_mean", "Mean negative log-likelihood. Never read alone: one frame can make "
               "it.", NATS, "Mean NLL", has_interval=True),
        Column("nll_select_less_val", "Mean NLL on select less that on val: what a score on known "
               "speakers hides. Empty without select.", NATS, "Select less val"),
        Column("nll_median", "Median over the stored frames.", NATS, "Median"),
        Column("nll_trimmed", "Mean without `trimmed_fraction` of the stored frames at each end.",
               NATS, "Trimmed mean"),
        Column("nll_q<number>", "Quantile of the score over the stored frames, in percent.", NATS,
               "quantile"),
        Column("num_stored", "Frames behind median and quantiles.", "frames", "Stored"),
        Column("num_not_finite", "Stored frames without a finite score. They are left out of "
               "median and quantiles.", "frames", "Not finite"),
        CHOSEN_ON,
        Column("best_null", "The null of the same event with the lowest mean NLL on `chosen_on`, "
               "slice `all`, of the ladder that knows the past only.", title="Best null",
               is_text=True),
        Column("gain_nats", "Headline. What context buys: mean NLL of the best null less that of "
               "the model, paired. 0 on white noise.", NATS, "Gain over the best null",
               has_interval=True),
        Column("gain_seeds_nats", "Mean of gain_nats over the training seeds of a head, each over "
               "the null that its seed chose. Empty for nulls.", NATS, "Gain, all seeds",
               has_interval=True),
        Column("gain_seeds_bits_per_s", "The same mean times frame rate over ln 2.", "bits/s",
               has_interval=True),
        Column("gain_seeds_freedom", "Degrees of freedom of that interval, which the gate forms "
               "anew at the level that is shared over the slices."),
        Column("num_seeds", "Training seeds behind gain_seeds_nats.", title="Seeds"),
        Column("interval_over", "What the interval of gain_seeds_nats counts: `seeds and speakers` "
               "from three seeds on, else `speakers`.", is_text=True),
        Column("near_gain_nats_lowest", "Lowest gain_nats among the tuned points of the head that "
               "are as good on `chosen_on` (prediction_tuning.csv). Empty where this seed and lag "
               "were not tuned.", NATS),
        Column("near_gain_nats_highest", "The highest of them.", NATS),
        Column("gain_bits_per_s", "gain_nats times frame rate over ln 2.", "bits/s", "Gain",
               has_interval=True),
        Column("gain_median_nats", "Median over stored frames, null less model.", NATS,
               "Median gain"),
        Column("marginal", "The best law without context in the target's own space.",
               is_text=True),
        Column("marginal_has_stopped", "Whether that law was doubled in size until select gained "
               "no more. Where its limit or a fixed size ended it, a richer law may be better, and "
               "what the past tells is overstated by as much.", is_text=True),
        Column("information_nats", "Gain over the best law without context. For delta at lag 1 "
               "this contains mean reversion.", NATS, "Over the marginal", has_interval=True),
        Column("dnll_first_experiment", "As the first experiment scored it: over one diagonal "
               "Gaussian of delta. Negative is better. Empty where delta is another event.", NATS,
               "First dNLL", has_interval=True),
        Column("dnll_mean_reversion", "Its part from the Gaussian marginal of delta to that of the "
               "better space: -(D/2) ln 2 on white noise at lag 1, 0 at larger lags.", NATS,
               "of it mean reversion"),
        Column("dnll_shape", "Its part from that Gaussian to the best law without context of the "
               "same space.", NATS, "of it shape"),
        Column("dnll_context", "The rest, to the model. The three parts add up exactly.", NATS),
        Column("dnll_context_null", "What the best null takes of the context as well.", NATS,
               "of it linear"),
        Column("information_nats_per_dim", "information_nats over D.", "nats/dim"),
        Column("cosine_mean", "Mean cosine of the conditional mean and the truth. Directions from "
               "0 (delta) or the train mean (position).", title="Cosine of the mean",
               has_interval=True, has_null=True, quotient=("cosine_mean", "num_mean")),
        Column("cosine_sample", "The same, mean over samples.", title="Cosine of samples",
               has_interval=True, has_null=True, quotient=("cosine_sample", "num_sampled")),
        Column("cosine_best", "The same, of the best of `num_samples` samples.", has_interval=True,
               has_null=True, quotient=("cosine_best", "num_sampled")),
        Column("energy_score", "E|X - y| - 1/2 E|X - X'|, unbiased over pairs of samples. Strictly "
               "proper, lower is better.", "latent units", "Energy score", has_interval=True,
               has_null=True, quotient=("energy_score", "num_sampled")),
        *(Column(f"info_nce_bits_{of}", f"True future against frames of the same {of}: log2 N + "
                 "log2 softmax, by log density over the family's marginal. At most "
                 "log2(num_negatives + 1), null 0.", "bits", title, has_interval=True,
                 quotient=(f"info_nce_bits_{of}", f"num_info_nce_{of}"))
          for of, title in (("utterance", "InfoNCE"), ("speaker", "InfoNCE, speaker"))),
        Column("coverage_50_per_dimension", COVERAGE.format(level=50), has_interval=True,
               quotient=("coverage_50_per_dimension", "num_sampled")),
        Column("coverage_90_per_dimension", COVERAGE.format(level=90) + " Calibrated: .9, with any "
               "number of samples. It hides a law that is off on one side only: read both ends.",
               title="Coverage at 90 %", has_interval=True,
               quotient=("coverage_90_per_dimension", "num_sampled")),
        *(Column(f"{end}_range_per_dimension", f"Share of values {end} that range. Calibrated: "
                 ".05. More at both ends: too narrow. More at one: off centre.",
                 title=f"{end.capitalize()} 90 %", has_interval=True,
                 quotient=(f"{end}_range_per_dimension", "num_sampled"))
          for end in ("below", "above")),
        *(Column(f"coverage_{level}_density", DENSITY.format(level) + " It sees the joint law.",
                 has_interval=True, quotient=(f"coverage_{level}_density", "num_sampled"))
          for level in (50, 90)),
        *(Column(f"{end}_range_density", f"How often that rank lies {end} its central 90 %. "
                 f"Calibrated: .05. {words}", has_interval=True,
                 quotient=(f"{end}_range_density", "num_sampled"))
          for end, words in (("below", "More: the truth is less likely than samples, too narrow a "
                              "law."), ("above", "More: too wide a law."))),
        Column("decoder_cosine_mean", "cosine_mean after the decoder's Jacobian, where it is "
               "linear.", has_interval=True, has_null=True,
               quotient=("decoder_cosine_mean", "num_mean")),
        Column("cosine_white_noise", "What white noise scores as D grows: 1/sqrt 2 for delta at "
               "lag 1, else 0."),
        Column("log_magnitude_r2_mean", "R² of log length, predicted by the log of the mean's "
               "length. Negative for every calibrated model: means are short.", has_null=True),
        Column("log_magnitude_r2_sample", "R² of log length, predicted by its expectation over "
               "samples: the proper one.", title="R² of log length", has_null=True),
        Column("explained_all", "1 - SSE / SST of the conditional mean, all dimensions.",
               has_null=True),
        Column("explained_pc_<number>_<number>", "The same on principal directions of the target "
               "on train.", has_null=True),
        Column("decoder_explained", "explained_all after the decoder's Jacobian, where it is "
               "linear."),
        Column("strongest_null", "The null of the same ladder that is best on the scored frames "
               "themselves.",
               is_text=True),
        Column("gain_strongest_nats", "Gain over that null: a lower bound. Where it is much below "
               "gain_nats, a null was chosen that does not carry over to new speakers.", NATS,
               has_interval=True),
        Column("surrogate_<name>_gain_nats", "gain_nats of the same cell and model on that "
               "surrogate, over its own nulls.", NATS),
        Column("surrogate_<name>_information_nats", "The same of information_nats.", NATS),
    ),
    notes=(
        "At lag 1 both targets are one event (unit Jacobian): one model, the same NLL, and every "
        "marginal of either space is a null of both. At larger lags they are different events. "
        "Compare within a target only.",
        "Nulls: `gaussian_marginal[_full]_<space>`, `<head>_marginal_<space>`, `ar1[_full]`, "
        "`ridge[_full]`, `ridge_mixture` and `speaker_ar1`. A head's marginal is its family "
        "without "
        "context, components doubled until select stops gaining. `ar1` is diagonal. `ridge` is a "
        "VAR on the same context, tuned on select. `ridge_mixture` is the ridge's mean with a "
        "static "
        "mixture of its whitened residuals, Gaussian or Student-t. `speaker_ar1` is AR(1) and the "
        "mean of the speaker's *other* utterances. `_full`: full "
        "residual covariance.",
        "The best null and the strongest null are nulls that know the past only, as heads do. "
        "`speaker_ar1` knows the speaker as well. It stands beside and decides nothing.",
    ),
)  # fmt: skip
WORST_FRAMES = Table(
    "worst_frames",
    "frame: the `num_worst_frames` largest NLL of each model and part, worst first",
    (
        REPRESENTATION, SEED, LAG_FRAMES, TARGET, MODEL, PART,
        Column("utterance_id", "Name of the utterance.", title="Utterance", is_text=True),
        Column("speaker_id", "Name of the speaker.", is_text=True),
        Column("frame", "Frame within the utterance.", "frames", "t"),
        Column("delta_norm", "|x_t - x_{t-1}|.", "latent units", "Length of the step"),
        Column("slices", "Slices that hold the frame.", title="Slices", is_text=True),
        Column("nll", "Negative log-likelihood of this frame.", "nats", "NLL"),
    ),
)  # fmt: skip
PREDICTION_CALIBRATION = Table(
    "prediction_calibration",
    "bin of a PIT histogram",
    (
        Column("kind", "`per_dimension`: rank of each coordinate among its samples. `density`: "
               "rank of the density.", is_text=True),
        Column("bin", "Bin of the rank, from low to high."),
        Column("count", "Truths in the bin. Flat when calibrated."),
        MODEL, LAG_FRAMES, TARGET, PART, REPRESENTATION, SEED,
    ),
)  # fmt: skip
PREDICTION_ROLLOUT = Table(
    "prediction_rollout",
    "head, lag, target and horizon: the first experiment's free-running score on eval",
    (
        Column("horizon_frames", "Steps rolled out by the mean.", "frames", "Horizon"),
        Column("num_paths", "Paths that were started.", "paths", "Paths"),
        Column("num_alive", "Paths that are finite with an RMS below `divergence_factor` SD.",
               "paths", "Alive"),
        Column("dnll_mean", "dNLL over paths alive: the true next delta under the dreamt context, "
               "less the Gaussian marginal.", NATS, "dNLL, mean"),
        Column("dnll_median", "The same, median. Empty when no path is alive.", NATS,
               "dNLL, median"),
        Column("state_rms", "Spread of the dreamt frames. 1 is as spread as the data.", "SD",
               "Spread"),
        Column("state_error", "RMS distance of the dreamt frames from the true ones.", "SD"),
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
