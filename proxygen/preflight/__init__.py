"""A look at a name before an authority is asked: its DNS, and whether it leads here."""

from proxygen.preflight.addresses import reached
from proxygen.preflight.asked import Asked, Beacon, Identity
from proxygen.preflight.name_checks import Preflight

__all__ = ["Asked", "Beacon", "Identity", "Preflight", "reached"]
