"""proxygen: from one model file to certificates served by nginx, postfix and dovecot."""

__version__ = "0.1.0"
