"""Damaged checkpoints: a model or one of our errors, in bounded time and memory."""

import campaign
import target_checkpoint

MOST_MB = 600


def test_the_checkpoints_that_damage_starts_from_are_whole(tmp_path):
    for name, content in target_checkpoint.seeds().items():
        assert target_checkpoint.run(content, tmp_path) == "result", name


def test_damaged_checkpoints_end_in_models_or_our_errors():
    tally = campaign.Campaign("checkpoint", seed=20261125, cases=600).run()
    assert not tally.findings, tally.text()
    assert tally.cases == 600
    assert tally.peak_mb <= MOST_MB
    for name, outcomes in tally.outcomes.items():
        assert 0 < outcomes["result"] < outcomes.total(), (name, outcomes)
