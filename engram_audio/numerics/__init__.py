"""Numerics that know no stage: seeds, k-means, grouped sums, moments, eigenvectors, units."""
