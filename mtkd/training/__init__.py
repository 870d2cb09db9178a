"""Training: recipe -> data -> loop -> run folder."""
