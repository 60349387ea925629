"""The whole story against a real PostgreSQL that is started for it and stopped again."""
