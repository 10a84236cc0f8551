"""What the engine can be asked: one verb a module."""
