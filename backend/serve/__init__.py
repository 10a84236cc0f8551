"""The worker, its queue, the HTTP service and the client: transport, never behaviour."""
