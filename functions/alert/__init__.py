"""Rank a study by its results and alert on high risk."""
