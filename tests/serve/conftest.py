import pytest


@pytest.fixture(scope="package")
def running(tmp_path_factory):
    """One service for all tests that leave it as it was."""
    from serving import serving

    with serving(
        feedback=tmp_path_factory.mktemp("feedback") / "feedback.sqlite",
        upload_bytes=20_000_000,
    ) as one:
        yield one
