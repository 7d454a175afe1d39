"""Free running: forecasts, generation, and training for both (SCIENCE 8)."""
