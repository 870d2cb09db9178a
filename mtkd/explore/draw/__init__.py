"""What all pictures share: palettes, mosaics and the theme of plots."""
