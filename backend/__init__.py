"""What computes: importable and testable without a browser."""
