"""`POST /v1/feedback`: corrections in the store of `e2v feedback`."""

import pytest
from serving import serving

from emotion2vec_edge.engine.corpora.feedback import FeedbackStore

FEEDBACK = "/v1/feedback"


def test_a_correction_is_kept(running, recognizer, example):
    files = {"file": (example.name, example.read_bytes())}
    for label, known in (("Sadness", True), ("hungry", False), ("sad", True)):
        answer = running.http.post(FEEDBACK, files=files, data={"label": label, "speaker": "A"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["known"] is known
    (kept,) = FeedbackStore(running.service.settings.feedback).corrections()
    expected = recognizer.recognize(example)
    assert (kept.label, kept.speaker, kept.answered) == ("sad", "A", expected.emotion)
    assert kept.path.endswith("/" + example.name)
    assert (kept.embedding == expected.embedding).all()


def test_two_recordings_of_one_name_are_two(tmp_path, example, example_samples):
    from recordings import encoded

    other = encoded(example_samples[:16_000], 16_000, "WAV")
    with serving(feedback=tmp_path / "new" / "store.sqlite") as running:
        for content in (example.read_bytes(), other):
            running.http.post(FEEDBACK, files={"file": ("a", content)}, data={"label": "sad"})
        assert len(FeedbackStore(running.service.settings.feedback).corrections()) == 2


@pytest.mark.parametrize(
    ("files", "data", "status"),
    [(1, {}, 422), (1, {"label": " "}, 422), (1, {"label": "a" * 200}, 422),
     (2, {"label": "sad"}, 400), (0, {"label": "sad"}, 400)],
)  # fmt: skip
def test_what_is_no_correction_is_refused(running, example, files, data, status):
    sent = [("file", ("a", example.read_bytes()))] * files or [("x", (None, "1"))]
    answer = running.http.post(FEEDBACK, files=sent, data=data)
    assert answer.status_code == status, answer.text


def test_without_a_store_there_is_no_such_address(example):
    with serving() as running:
        answer = running.http.post(
            FEEDBACK, files={"file": example.read_bytes()}, data={"label": "sad"}
        )
        assert answer.status_code == 404
        assert "--feedback" in answer.json()["detail"]


def test_a_store_that_cannot_be_used_is_not_named(tmp_path, example):
    store = tmp_path / "store.sqlite"
    with serving(feedback=store) as running:
        store.write_text("this is no database, and it is long enough to be seen as one that is not")
        answer = running.http.post(
            FEEDBACK, files={"file": example.read_bytes()}, data={"label": "sad"}
        )
    assert answer.status_code == 507
    assert str(tmp_path) not in answer.text


def test_a_field_that_there_is_not_is_refused_by_name(running, example):
    files, fields = {"file": ("a.flac", example.read_bytes())}, {"label": "sad", "emotion": "sad"}
    answer = running.http.post("/v1/feedback", files=files, data=fields)
    assert answer.status_code == 422
    assert answer.json()["detail"] == (
        "there is no option 'emotion'; options are label, speaker, filename"
    )
