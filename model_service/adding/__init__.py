"""Taking in a MONAI bundle: fetched under limits, read as data, exported, run on a sample, registered."""
