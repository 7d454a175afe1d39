"""Speaker-clustered estimates, intervals and robust summaries."""
