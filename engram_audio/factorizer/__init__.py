"""Factorise latents into a predictable state z_dyn and an innovation z_rec (SCIENCE 6)."""
