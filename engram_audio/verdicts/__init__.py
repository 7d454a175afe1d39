"""Verdicts as data: one row type, one judge, one table, the questions in their order."""
