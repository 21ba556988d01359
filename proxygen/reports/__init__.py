"""WHAT IS SHOWN: status, names, dns, check, health, figures as values."""
