"""Any sound → 16 kHz mono blocks: sources, decoders, resampling, normalisation, quality."""
