"""Logs, traces and metrics: every metric and attribute name, said once."""
