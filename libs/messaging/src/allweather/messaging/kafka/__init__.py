"""The real broker."""
