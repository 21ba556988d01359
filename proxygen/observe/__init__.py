"""Observes what is on this host, and what the model names outside of itself."""
