"""Where spending comes from: one module per kind of source."""
