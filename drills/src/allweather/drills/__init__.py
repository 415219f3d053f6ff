"""Rehearsed outages: load through both doors, journals of what clients saw, evidence, and the checker of promises."""
