"""emotion2vec as a torch module that exports cleanly, faithful to FunASR's numbers.

Source: ``funasr/models/emotion2vec`` (MIT), itself from fairseq's data2vec 2.0. Only the form
differs: ALiBi is computed from the length instead of kept in a cache, padding is masked so that a
batch equals its members alone, and the model is split into a front-end, which is local, and an
encoder, which is not.
"""
