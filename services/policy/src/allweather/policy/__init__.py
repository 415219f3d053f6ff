"""Decides who may use what, where: a verdict for every request."""
