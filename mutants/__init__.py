"""Planted bugs that fast tests must notice (`python -m mutants`)."""
