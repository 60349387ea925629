"""The documentation, and `generate`, which makes the reference pages from the code."""
