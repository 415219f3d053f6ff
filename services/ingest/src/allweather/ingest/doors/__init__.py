"""The HTTP doors: one module for each thing that callers can ask."""
