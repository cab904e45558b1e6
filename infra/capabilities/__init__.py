"""One construct per capability; a stack only puts them together."""
