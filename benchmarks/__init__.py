"""Benchmarks: speed and detection quality, each one command, results committed as a table."""
