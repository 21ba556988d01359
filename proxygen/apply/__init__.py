"""DOING IT: the steps of a plan, each whole or not at all."""
