"""Speech within audio: its detector, and the segments of it."""
