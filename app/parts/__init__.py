"""Pieces of the page that several tabs, or one large tab, are made of."""
