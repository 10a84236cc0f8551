"""The HTTP service and the client that speaks to it."""
