"""Sending objects to the ingest service: what `firstread push` and the gateway share."""
