"""Fusion of emotions from several senses: scores of speech, face, text, and others."""
