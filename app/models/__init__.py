"""The page Models: which model is loaded, what else fits this machine, and loading it."""
