"""The guide's ``from src.data.loader import DataLoader``."""

from cardwatch.loader import DataLoader

__all__ = ["DataLoader"]
