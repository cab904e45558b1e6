"""A study from its instances: what they say together, whether they are all there, and the version they make."""
