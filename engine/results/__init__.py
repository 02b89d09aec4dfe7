"""What one encoder pass leaves: utterance, timeline, embedding, and the writers of each format."""
