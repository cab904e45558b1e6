"""Teaching: read a case first, then see what a reader and the models said of it, and how close one came."""
