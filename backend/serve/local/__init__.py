"""The client that runs the engine in this process, one module per facet."""
