"""The commands: one file each, its name the word on the command line."""
