"""Watching the system itself: health checks, alerts and metrics."""
