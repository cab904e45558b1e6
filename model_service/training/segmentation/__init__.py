"""Training, evaluation and publication of the segmentation bundles."""
