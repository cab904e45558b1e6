"""De-identify each object that arrived, or quarantine it with a reason."""
