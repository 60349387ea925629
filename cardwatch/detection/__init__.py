"""Detectors: from features to one score per customer."""
