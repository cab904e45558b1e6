"""Indexing and conversion of series, against peers and floors."""
