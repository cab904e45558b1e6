"""Networks on devices: each engine runs batches, and says MemoryError where its device's memory is full."""
