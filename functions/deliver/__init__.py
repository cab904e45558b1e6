"""Deliver outbox rows to their queue or bus."""
