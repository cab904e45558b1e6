"""Reviews: who reads a study, what they say of its findings, and who signs."""
