"""Calls one vendor: pure translators around one I/O core."""
