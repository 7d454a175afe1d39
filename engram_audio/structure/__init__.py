"""Coarse context keys and what they explain of the dynamics."""
