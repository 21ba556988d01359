"""Checks of names before an order: their DNS, CAA records, and whether they lead here."""

from proxygen.preflight.addresses import own_addresses
from proxygen.preflight.asked import Asked, AuthorityIdentity, Beacon
from proxygen.preflight.name_checks import Preflight

__all__ = ["Asked", "AuthorityIdentity", "Beacon", "Preflight", "own_addresses"]
