"""Upbit's WebSocket API for synchronous, thread-based programs. Importing it opens nothing and starts nothing."""
