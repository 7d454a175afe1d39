"""Latent extraction, surrogates, external arrays and quality checks."""
