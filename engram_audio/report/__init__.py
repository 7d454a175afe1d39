"""Gathers results, draws figures and renders the page."""
