"""Decisions: from what is wanted and observed to ordered steps. Nothing here has an effect."""
