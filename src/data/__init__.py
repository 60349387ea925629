"""The guide's name for what reads data."""
