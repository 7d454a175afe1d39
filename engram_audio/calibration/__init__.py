"""Planted worlds, surrogates and their exact answers."""
