"""Close a quiet study as a version and route it to models."""
