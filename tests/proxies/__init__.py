"""Real proxies between the client and the local server."""
