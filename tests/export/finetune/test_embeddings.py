"""Embeddings of whole clips by the torch model."""

import numpy as np

from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.export.finetune.embeddings import embeddings_of
from emotion2vec_edge.export.finetune.speech import load_speech
from emotion2vec_edge.export.finetune.training.initialization import new_document, new_model


def test_whole_clips_are_answered_alone_as_in_a_batch(corpus, tiny):
    speech = load_speech(read_corpus(corpus, "train"), ["angry", "happy", "sad"])
    model = new_model(new_document(str(tiny)), 3, 0).eval()
    together = embeddings_of(model, speech)
    one = speech.subset(np.arange(len(speech)) == 7)
    np.testing.assert_allclose(embeddings_of(model, one)[0], together[7], atol=1e-5)
