"""The JSON API and the images."""
