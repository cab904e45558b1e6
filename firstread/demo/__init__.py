"""The demonstration: sample files, a simulated radiograph, and the live view of their way."""
