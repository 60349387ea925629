"""The import paths that the deployment guide names; the program itself is ``cardwatch``."""
