"""Conditional densities of the next delta, the null ladder and their scores."""
