"""Pages: HTML made on the server."""
