"""Whether the files of a model are whole, and what is wrong with them: told in our words, by file and value."""
