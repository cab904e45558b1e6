"""What a hospital's hour does to the way in, and what a hundred thousand instances do to it."""
