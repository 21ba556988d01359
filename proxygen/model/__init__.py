"""WHAT SHOULD BE: the model, read and checked; nothing here has an effect."""
