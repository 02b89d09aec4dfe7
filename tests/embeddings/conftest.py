"""Speech that was never spoken: embeddings whose emotions lie along few of many directions."""

import shutil

import numpy as np
import pytest

from emotion2vec_edge.engine.bundle import locate
from emotion2vec_edge.engine.embeddings.fitting import FitSpeech

LABELS = ("angry", "happy", "sad")
DIM = 24


def speech_of(seed, clips=240, speakers=8, corpora=2):
    """A large mean and loud directions of the voice hide the emotion, as in real embeddings."""
    rng, world = np.random.default_rng(seed), np.random.default_rng(99)
    directions = world.standard_normal((3, DIM))
    voices = 4 * world.standard_normal((6, DIM))
    speaker = np.arange(clips) % speakers
    truth = rng.integers(3, size=clips)
    voice = rng.standard_normal((speakers, 6))[speaker] + 0.3 * rng.standard_normal((clips, 6))
    vectors = 20 + directions[truth] + voice @ voices + 0.3 * rng.standard_normal((clips, DIM))
    corpus = [f"corpus{n % corpora}" for n in speaker]
    return FitSpeech(
        vectors.astype(np.float32),
        [LABELS[k] for k in truth],
        [f"{corpus[i]}/{seed}-{n}" for i, n in enumerate(speaker)],
        corpus,
        (vectors @ directions.T).astype(np.float32),
    )


@pytest.fixture(scope="session")
def speech():
    return speech_of(0)


@pytest.fixture(scope="session")
def unheard():
    """Other speakers."""
    return speech_of(1)


@pytest.fixture
def bundle_copy(tmp_path):
    """Folder of a copy of the embedded bundle."""
    folder = tmp_path / "model"
    shutil.copytree(locate.EMBEDDED / locate.DEFAULT_NAME, folder)
    return folder
