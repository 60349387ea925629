"""Databases: where they are, how they are connected to, and what their errors mean."""
