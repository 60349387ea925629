"""The configuration under the path that the deployment guide imports."""

from cardwatch.config import Config, load_config

__all__ = ["Config", "load_config"]
