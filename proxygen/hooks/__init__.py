"""Hook environments: what our hooks are told, and what the callers of ours tell."""
