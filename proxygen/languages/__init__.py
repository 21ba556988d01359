"""What people are told, as data: a file a language, all with the same keys and placeholders."""
