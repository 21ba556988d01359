"""What is known of a name: findings, evidence, causes, refusals; nothing here asks."""
