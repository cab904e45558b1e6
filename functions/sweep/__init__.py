"""Once a minute, send again what waits for an event that never came."""
