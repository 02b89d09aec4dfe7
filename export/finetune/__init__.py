"""Training of emotion2vec on labelled speech: all weights, or a new small model from nothing."""
