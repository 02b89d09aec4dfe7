"""The page's microphone, from the sound of a file that the browser takes for one."""

import json
import re

import numpy as np
import pytest
import soundfile as sf
from browser import TOKEN, chromium, serving, visit

from emotion2vec_edge.engine import example_recordings

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="SKIPPED LOUDLY: playwright is not installed"
)
expect = sync_api.expect
pytestmark = pytest.mark.slow

ELSEWHERE = "speech.example"
"""A name under which the service is reached without HTTPS."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def service(folder):
    with serving("--allow-host", ELSEWHERE, folder=folder) as running:
        yield running


@pytest.fixture(scope="module")
def browser(folder):
    spoken = [sf.read(path)[0] for path in example_recordings()]
    sf.write(folder / "voice.wav", np.concatenate(spoken), 16_000, subtype="PCM_16")
    with chromium(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={folder / 'voice.wav'}",
        f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1",
    ) as opened:
        yield opened


@pytest.fixture
def page(browser, service):
    with visit(browser, service) as opened:
        yield opened


def listen(page):
    """Start from the first tab, and wait for an emotion."""
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.locator("#now .verdict .name")).to_have_text(
        re.compile("Neutral|Sad|Happy|Angry|Fearful|Other|Surprised|Disgusted|Unknown")
    )


def painted(page, selector):
    """Colours on a canvas."""
    return page.locator(selector).evaluate(
        """canvas => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return [...new Set(new Uint32Array(data.buffer))].length;
        }"""
    )


def test_a_voice_is_told_while_it_speaks_and_kept(page):
    sent = []

    def keep(frame):
        sent.append(frame)

    page.on("websocket", lambda socket: socket.on("framesent", keep))
    before = painted(page, "#strip")
    listen(page)
    expect(page.locator("#latency")).to_contain_text(re.compile(r"\d+ ms"))
    expect(page.locator("#spans li").first).to_be_visible()
    assert painted(page, "#strip") > before
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".card h2")).to_have_text("Recording 1.wav")
    expect(page.get_by_role("tab", name="Recordings")).to_have_attribute("aria-selected", "true")
    seconds = float(re.search(r"[\d.]+", page.locator(".card .facts").inner_text())[0])
    assert seconds > 2
    update = json.loads(next(frame for frame in sent if isinstance(frame, str)))
    assert update["type"] == "session.update"
    heard = sum(len(frame) for frame in sent if isinstance(frame, bytes)) / 4 / update["rate"]
    assert heard == pytest.approx(seconds, abs=0.5)
    assert sent[-1] == json.dumps({"type": "end"}, separators=(",", ":"))


def test_it_is_switched_on_again(page):
    for _ in range(2):
        page.get_by_role("tab", name="Live").click()
        page.get_by_role("button", name="Start listening").click()
        expect(page.locator("#now .verdict")).to_be_visible()
        page.get_by_role("button", name="Stop").click()
        expect(page.locator("#files")).to_be_visible()
        page.wait_for_selector("#files[aria-busy=false]")
    assert page.locator(".list .file").all_inner_texts() == [
        f"Recording {number}.wav" for number in (1, 2)
    ]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("NotAllowedError", "The microphone was refused"),
        ("NotFoundError", "There is no microphone"),
    ],
)
def test_a_browser_without_a_microphone_says_why(page, error, words):
    page.evaluate(
        "name => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', name); }; }",
        error,
    )
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.locator("#live-problem")).to_contain_text(words)
    expect(page.get_by_role("button", name="Start listening")).to_be_enabled()


def test_a_page_without_https_says_how_to_get_a_microphone(browser, service):
    port = service.url.rsplit(":", 1)[1]
    with visit(browser, f"http://{ELSEWHERE}:{port}") as page:
        page.get_by_role("button", name="Record", exact=True).click()
        expect(page.locator("#insecure")).to_contain_text(f"https://{ELSEWHERE}:{port}")
        expect(page.get_by_role("button", name="Start listening")).to_be_disabled()
        page.complaints.clear()  # the browser's own line about headers without HTTPS


def test_the_token_opens_the_microphone_as_well(browser, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    with (
        serving("--token-file", tmp_path / "token", folder=tmp_path) as running,
        visit(browser, running, ready=False) as page,
    ):
        page.locator("#token").fill(TOKEN)
        page.locator("#token").press("Enter")
        page.wait_for_selector("body[data-ready]")
        listen(page)
        assert not any(TOKEN in asked for asked in page.asked)


def test_what_was_heard_is_kept_when_the_server_ends(browser, tmp_path):
    with serving(folder=tmp_path) as running, visit(browser, running) as page:
        listen(page)
        running.stop()
        expect(page.locator(".list .file")).to_have_text("Recording 1.wav")
        expect(page.locator("tr.failed")).to_contain_text("The server cannot be reached")
        page.get_by_role("tab", name="Live").click()
        expect(page.locator("#live-problem")).to_have_text("The server is being stopped.")
        page.complaints.clear()  # the browser's own lines about the connection
