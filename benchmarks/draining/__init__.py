"""What a client with a kept connection sees when its server is replaced, and what the proxy costs that prevents it."""
