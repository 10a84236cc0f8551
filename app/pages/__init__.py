"""One module a page: read, ask, draw, write."""
