"""Parquet files, read in a process of their own: what breaks the library that reads them breaks nothing else."""
