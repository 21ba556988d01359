"""The daemon: a changed file, a due time or a restarted service starts a round."""
