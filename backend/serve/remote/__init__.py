"""The client that speaks to the HTTP service of another process or machine, a module a facet."""
