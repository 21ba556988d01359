"""The tests; their tree mirrors that of proxygen."""
