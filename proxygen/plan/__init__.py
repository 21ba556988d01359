"""WHAT TO DO: from wanted and observed to ordered steps; nothing here has an effect."""
