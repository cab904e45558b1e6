"""The Lambda functions, one folder each: a thin handler and, beside it, its logic."""
