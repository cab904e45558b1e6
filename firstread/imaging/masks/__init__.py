"""Regions of RT Structure Sets and segmentations as masks on the grid of a volume, and back."""
