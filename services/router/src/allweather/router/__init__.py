"""Decides which model answers, falls back, parks, releases and settles."""
