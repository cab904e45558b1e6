"""What the portal decides, without HTTP and without AWS."""
