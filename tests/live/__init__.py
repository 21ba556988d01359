"""The real programs, run privately: loopback ports, one folder, ended by their pid."""

from tests.live.needs import needs

__all__ = ["needs"]
