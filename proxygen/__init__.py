"""proxygen: from one model file to certificates served by nginx, postfix and dovecot."""

from pathlib import Path

__version__ = "0.1.0"

PACKAGED = "/usr/share/doc/proxygen/docs"
DOCUMENTS = PACKAGED if Path(PACKAGED, "model.md").is_file() else "docs"
"""Where the documents are: the Debian package brings them; else they are in the checkout."""

SCHEMA = "/usr/share/proxygen/proxygen.schema.json"
"""The JSON Schema of the model, where the Debian package has it."""
