"""The client that runs the engine in this process, a module a facet."""
