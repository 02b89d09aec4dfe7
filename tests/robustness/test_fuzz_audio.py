"""Damaged files through the audio door: a result or one of our errors, in bounded time and memory."""

import campaign
import pytest
import target_audio

CHECKED = {"tta", "vorbis", "opus"}
"""Formats whose checksums notice every damage of so short a file."""


def test_the_recordings_that_damage_starts_from_are_whole(tmp_path):
    for name, content in target_audio.seeds().items():
        assert target_audio.run(content, tmp_path) == "result", name


@pytest.mark.slow
def test_damaged_recordings_end_in_results_or_our_errors():
    tally = campaign.Campaign("audio", seed=20261125, cases=1_600).run()
    assert not tally.findings, tally.text()
    assert tally.cases == 1_600
    assert tally.peak_mb <= target_audio.TARGET.memory >> 20
    assert set(tally.outcomes) == set(target_audio.seeds())
    for name, outcomes in tally.outcomes.items():
        # Damage that always is one or the other would have tested half of the door.
        assert outcomes["result"] > 0 or name in CHECKED, (name, outcomes)
        assert outcomes.total() > outcomes["result"], (name, outcomes)
