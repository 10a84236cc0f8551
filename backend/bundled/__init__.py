"""What ships with the program: the reference text, and finished examples with their requests."""
