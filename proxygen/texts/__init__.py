"""WHAT PEOPLE READ: mails, explanations, remedies, warnings; nothing here sends any."""
