"""What the steps that may read the incoming bucket have in common: from an object that arrived to its outcome."""
