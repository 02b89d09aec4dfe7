"""FunASR checkpoints: read without executing anything in them, and written."""
