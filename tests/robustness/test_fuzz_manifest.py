"""Damaged manifests, heads, corpora and files of turns: accepted or refused by one of our errors, in bounded time."""

import campaign
import pytest
import target


@pytest.mark.parametrize(
    ("name", "cases"), [("manifest", 240), ("head", 1_000), ("corpus", 1_000), ("turns", 1_000)]
)
def test_damage_ends_in_results_or_our_errors(name, cases):
    tally = campaign.Campaign(name, seed=20261125, cases=cases).run()
    assert not tally.findings, tally.text()
    assert tally.cases == cases
    assert tally.peak_mb <= 600
    for outcomes in tally.outcomes.values():
        # Damage that always is one or the other would have tested half of the door.
        assert 0 < outcomes["result"] < outcomes.total()


@pytest.mark.parametrize("name", ["manifest", "head", "corpus", "turns"])
def test_what_damage_starts_from_is_whole(name, tmp_path):
    for seed_name, content in target.load(name).seeds().items():
        folder = tmp_path / seed_name
        folder.mkdir()
        assert target.load(name).run(content, folder) == "result"
