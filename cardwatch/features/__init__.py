"""One row per customer, one column per catalogued feature."""
