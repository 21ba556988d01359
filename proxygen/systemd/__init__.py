"""systemd's units of proxygen, and what one host needs of them, as texts."""
