"""Measuring answers and votes. Knows records and answers; knows nothing of how a model was made."""
