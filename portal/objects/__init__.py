"""DICOM objects of signed reviews. Slow to import: nothing imports this but the act of signing."""
