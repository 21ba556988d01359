"""This machine: the only door to its files and processes."""
