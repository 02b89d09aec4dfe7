"""Fixtures of the fine-tuning: a run of a few steps."""

import dataclasses

import pytest

from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.export.finetune.embeddings import logits_of
from emotion2vec_edge.export.finetune.speech import held_out_speakers, load_speech
from emotion2vec_edge.export.finetune.training.batches import Batches
from emotion2vec_edge.export.finetune.training.initialization import new_document, new_model
from emotion2vec_edge.export.finetune.training.learner import Learner
from emotion2vec_edge.export.finetune.training.recipe import FROM_NOTHING
from emotion2vec_edge.export.finetune.training.run import Run


@pytest.fixture
def start_run(corpus, tiny):
    """Makes a run of a few steps in a folder; named arguments change the recipe."""

    def start(folder, steps, **changes):
        labels = ["angry", "happy", "sad"]
        speech = load_speech(read_corpus(corpus, "train"), labels)
        held = held_out_speakers(speech, 0.25)
        assert len(set(speech.speakers[held])) == 1
        recipe = dataclasses.replace(
            FROM_NOTHING, steps=steps, batch_seconds=6.0, crop_seconds=(0.3, 0.5), warmup_steps=3,
            frontend_steps=2, learning_rate=3e-3, **changes,
        )  # fmt: skip
        model = new_model(new_document(str(tiny)), len(labels), recipe.seed)
        folder.mkdir(exist_ok=True)
        learner = Learner(model, len(labels), recipe)
        batches = Batches(speech.subset(~held), recipe, len(labels))
        return Run(folder, recipe, learner, batches, speech.subset(held), logits_of)

    return start
