"""For maintainers: publish weights, regenerate records and tables, compare results across machines."""
