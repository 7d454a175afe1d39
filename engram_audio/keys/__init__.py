"""Discrete keys of the recent past: an input, a feature of its context, a quantiser."""
