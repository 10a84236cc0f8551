"""Checks that the files of a model are intact, and error messages that name the file and the value that is wrong."""
