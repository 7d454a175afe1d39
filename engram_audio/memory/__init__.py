"""Lookup memories on top of predictors, and the controls that say whether the lookup helps."""
