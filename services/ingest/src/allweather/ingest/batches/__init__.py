"""Batches: many requests in one file, fed to the pipeline little by little."""
