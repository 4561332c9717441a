"""What a buyer is likely to do next: purchases by the BG/NBD model, their value by the gamma-gamma model."""
