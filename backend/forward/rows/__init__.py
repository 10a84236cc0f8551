"""Rows that run together: what is asked of one, what shares a cache, what joins and leaves."""
