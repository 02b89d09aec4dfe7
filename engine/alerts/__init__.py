"""Rules with hysteresis over the windows of a stream → alerts that start and end."""
