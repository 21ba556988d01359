"""Checks of names before an order: their DNS, CAA records, and whether they lead here."""

from proxygen.preflight.addresses import reached
from proxygen.preflight.asked import Asked, Beacon, Identity
from proxygen.preflight.name_checks import Preflight

__all__ = ["Asked", "Beacon", "Identity", "Preflight", "reached"]
