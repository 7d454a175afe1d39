"""Waveform to continuous latents and back: one adapter per codec family behind one interface."""
