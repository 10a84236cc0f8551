"""Models: the table of known models, their sources, devices, memory, loading, and the loaded model with its hooks."""
