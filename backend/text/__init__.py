"""Text of people and models: how it is compared, and whether an answer is right."""
