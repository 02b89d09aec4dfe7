"""Distillation: a small emotion2vec learns from a large model that has heard much speech."""
