"""What commands print, and what a shell completes."""
