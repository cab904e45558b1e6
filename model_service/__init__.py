"""The inference container: models as MONAI bundles, and how they are trained and evaluated."""
