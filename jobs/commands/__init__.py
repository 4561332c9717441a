"""The commands of `reelhouse`, one module per group; heavy imports stay inside the functions."""
