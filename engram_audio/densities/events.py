"""Names of events and of what holds at every lag; imports nothing heavy."""

SPACES = ("delta", "position")
RIDGE_MIXTURE = "ridge_mixture"  # the ridge's mean and a static mixture of its residuals
SPEAKER_NULL = "speaker_ar1"  # reads the speaker's other utterances: more than the past
ANY_LAG = 0  # the lag of a marginal: it looks at no context and scores the same at every lag
