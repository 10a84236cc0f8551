"""Models: the table, where they come from, devices, memory, loading, and the loaded model with its hooks."""
