"""What makes shipped data, run by hand."""
