"""The average of the weights."""

import torch

from emotion2vec_edge.export.finetune.training.learner import Average


def test_the_average_follows_and_leaves_the_model_as_it_was():
    model = torch.nn.Linear(2, 1)
    average = Average(model, 0.5)
    with torch.no_grad():
        model.weight += 1
    before = average.values["weight"].clone()
    average.update(model, 100)
    torch.testing.assert_close(average.values["weight"], before + 0.5)
