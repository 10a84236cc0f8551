"""Tools that make shipped data and check the tests, run by hand."""
