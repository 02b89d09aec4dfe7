"""Results of one encoder pass: utterance, timeline, segments, embedding; and their writers."""
