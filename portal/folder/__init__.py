"""A folder of DICOM files in the portal's viewer, for `firstread view`: no account, no records, nothing written."""
