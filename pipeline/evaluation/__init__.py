"""Splits, metrics, intervals, plots and the report."""
