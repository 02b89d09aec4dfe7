"""A request's view of a model that takes several clips together."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import serving  # noqa: F401 - skips where the service's packages are missing

from emotion2vec_edge.engine import example_recordings
from emotion2vec_edge.engine.runtime.batched import BatchedModel
from emotion2vec_edge.engine.serve.inference.shared import shared
from emotion2vec_edge.engine.serve.inference.thread import InferenceThread
from emotion2vec_edge.engine.serve.inference.work import Priority, Work


@pytest.fixture
def batched(recognizer):
    """The embedded model as on a device, in the computer's own memory."""
    plain = recognizer.encoder
    model = BatchedModel(plain.frontend, plain.encoder, plain.audio, plain.chunking, plain.head)
    return replace(recognizer, encoder=model)


def test_requests_together_get_what_each_gets_alone(recognizer, batched, example_samples):
    long = np.resize(example_samples, 16_000 * 35)  # longer than one chunk
    sources = [*example_recordings(), long, *example_recordings()]
    expected = [recognizer.recognize(source, 16_000).scores for source in sources]
    with InferenceThread() as thread, ThreadPoolExecutor(len(sources)) as clients:

        def ask(source):
            own = shared(batched, thread, Work(Priority.REQUEST))
            return own.recognize(source, 16_000).scores

        found = list(clients.map(ask, sources))
    for one, other in zip(found, expected, strict=True):
        assert np.allclose(list(one.values()), list(other.values()), atol=1e-4)
