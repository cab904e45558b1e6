"""Call the next level of an alert that nobody has acknowledged; close one that nobody needs."""
