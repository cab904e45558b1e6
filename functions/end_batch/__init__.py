"""Count a study's instances and start its quiet timer."""
