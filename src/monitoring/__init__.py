"""The guide's monitoring commands."""
