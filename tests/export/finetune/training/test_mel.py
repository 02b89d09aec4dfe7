"""The log-mel spectrum."""

import torch

from emotion2vec_edge.export.finetune.training.mel import LogMel


def test_log_mel_tells_pitch_and_level():
    mel = LogMel(400, 320)
    time = torch.arange(16_000) / 16_000
    low, high = (torch.sin(2 * torch.pi * f * time)[None] for f in (300, 3000))
    assert mel(low).mean(1).argmax() < mel(high).mean(1).argmax()
    assert mel(low).shape == (1, 49, LogMel.bands)
    assert (mel(low) > mel(0.1 * low)).all()
