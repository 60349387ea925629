"""Notices: what a run tells the readers of its list, by mail and in a chat."""
