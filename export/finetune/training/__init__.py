"""Training of all weights: batches, losses, the loop, and the checkpoint it ends in."""
