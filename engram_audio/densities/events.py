"""Names of events and of what holds at every lag; imports nothing heavy."""

SPACES = ("delta", "position")
ANY_LAG = 0  # the lag of a marginal: it looks at no context and scores the same at every lag
