"""A look inside: the framework step by step, attribution and wavelet subbands."""
