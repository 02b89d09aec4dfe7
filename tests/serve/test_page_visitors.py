"""The page for different visitors: languages, screens, tokens, a server that is away; and its own files."""

import json
import re
import socket
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile as sf
from browser import TOKEN, chromium, emotion_of, send, serving, visit

from emotion2vec_edge.engine import example_recordings
from emotion2vec_edge.engine.audio.meter import WarningCode

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="SKIPPED LOUDLY: playwright is not installed"
)
expect = sync_api.expect

PAGE = Path(__file__).resolve().parents[2] / "engine" / "serve" / "page"
TEXTS = {name: json.loads((PAGE / "texts" / f"{name}.json").read_text()) for name in ("en", "zh")}
EMOTIONS = [key[8:] for key in TEXTS["en"] if key.startswith("emotion.")]
COLD, LEISURE, ILL = example_recordings()
MOST_BYTES = 300_000

browsing = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def service(folder):
    (folder / "token").write_text(TOKEN)
    with serving("--token-file", folder / "token", "--max-upload-mb", 40, folder=folder) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


def enter(page, token):
    page.get_by_label(re.compile("Token of this server|服务器令牌")).fill(token)
    page.locator("#token-dialog button").click()


def files():
    return sorted(path for path in PAGE.rglob("*") if path.is_file())


def test_the_page_is_light():
    assert sum(path.stat().st_size for path in files()) <= MOST_BYTES


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_no_file_of_it_names_another_site(path):
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"""["'(]\s*(https?:)?//\w""", text)
    assert not re.search(r"\son\w+=|style=", text) or path.suffix != ".html"


def test_both_languages_have_the_same_words():
    assert list(TEXTS["en"]) == list(TEXTS["zh"])
    for key, text in TEXTS["en"].items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", TEXTS["zh"][key])), (
            key
        )


def test_every_text_that_is_used_is_there_and_the_other_way_round():
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in files() if path.suffix in {".js", ".html"}
    )
    named = set(re.findall(r"""data-(?:text|label)="([\w.]+)\"""", source))
    named |= {
        key for key in re.findall(r'"([a-z]+\.[a-z.]+)"', source) if key.split(".")[0] in groups()
    }
    built = set(re.findall(r"`([a-z]+\.)\$", source))
    assert not named - set(TEXTS["en"])
    unused = {key for key in TEXTS["en"] if key not in named and not key.startswith(tuple(built))}
    assert not unused


def test_every_warning_has_words():
    codes = {key.removeprefix("warning.") for key in TEXTS["en"] if key.startswith("warning.")}
    assert codes == set(get_args(WarningCode))


def groups():
    return {key.split(".")[0] for key in TEXTS["en"] if "." in key}


@browsing
def test_a_token_is_asked_for_and_a_wrong_one_refused(browser, service):
    with visit(browser, service, ready=False) as page:
        enter(page, "wrong-token-wrong-token")
        expect(page.locator("#token-refused")).to_be_visible()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Try again").click()
        enter(page, TOKEN)
        page.wait_for_selector("body[data-ready]")
        send(page, COLD)
        expect(page.locator(".verdict .name")).to_have_text(emotion_of(COLD).capitalize())
        assert not any(TOKEN in asked for asked in page.asked)


@pytest.fixture
def page(browser, service):
    with visit(browser, service, ready=False, viewport={"width": 390, "height": 800}) as opened:
        enter(opened, TOKEN)
        opened.wait_for_selector("body[data-ready]")
        yield opened


@browsing
def test_chinese_is_chosen_and_remembered(page):
    send(page, COLD)
    page.get_by_label("Language").select_option("zh")
    expect(page.locator(".verdict .name")).to_have_text(emotion_of(COLD, "zh"))
    expect(page.get_by_role("tab", name="实时")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    page.reload()
    expect(page.get_by_role("button", name="选择文件", exact=True)).to_be_visible()
    left = page.locator("body").inner_text()
    for known in ("emotion2vec-edge", "emotion2vec_small", "English", "e2v serve", "Opus"):
        left = left.replace(known, "")
    english = {text for key, text in TEXTS["en"].items() if len(text) > 4 and "{" not in text}
    assert not [text for text in english if text in left]


@browsing
def test_a_browser_in_chinese_gets_chinese(browser, service):
    with visit(browser, service, ready=False, locale="zh-CN") as page:
        expect(page.locator("#token-dialog button")).to_have_text("使用")


@browsing
def test_nothing_is_wider_than_a_phone(page, tmp_path):
    broken = tmp_path / f"{'a-long-name-' * 6}.wav"
    broken.write_text("this is no sound")
    send(page, COLD, LEISURE, ILL, broken)
    for tab in ("Recordings", "Compare", "Live"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") == 390


@browsing
def test_the_tabs_are_walked_through_with_arrows(page):
    page.get_by_role("tab", name="Recordings").press("ArrowLeft")
    expect(page.get_by_role("tab", name="Live")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Live")).to_be_visible()


@browsing
def test_dark_is_chosen_and_follows_the_system(page):
    def ground():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = ground()
    page.emulate_media(color_scheme="dark")
    dark = ground()
    assert dark != light
    page.get_by_label("Colours of the page").select_option("light")
    assert ground() == light
    page.emulate_media(color_scheme="light")
    page.get_by_label("Colours of the page").select_option("dark")
    assert ground() == dark


@browsing
def test_a_file_that_is_too_large_is_not_sent(page, tmp_path):
    large = tmp_path / "large.wav"
    with large.open("wb") as file:
        file.truncate(41_000_000)
    send(page, large)
    expect(page.locator("tr.failed")).to_contain_text(
        "It has 41 MB; this server takes at most 40 MB"
    )
    assert not any("/v1/audio" in asked or "/v1/jobs" in asked for asked in page.asked)


def long_recording(path, seconds):
    speech = np.concatenate([sf.read(path)[0] for path in example_recordings()])[::2]
    sf.write(path, np.resize(speech, seconds * 8000), 8000, subtype="PCM_U8")
    return str(path)


@browsing
def test_a_long_recording_tells_how_far_it_is(page, tmp_path):
    page.set_input_files("#choose-files-input", long_recording(tmp_path / "long.wav", 240))
    expect(page.locator(".list .state")).to_contain_text(re.compile(r"of 4:00 heard"))
    expect(page.locator(".card .clock")).to_have_text("0:00.0 / 4:00.0", timeout=60_000)
    expect(page.locator(".warnings")).to_contain_text("Over 30 seconds")
    assert sum("/v1/jobs/" in asked for asked in page.asked) > 2


def document_of_an_hour():
    """A document as the service gives it for an hour, whose model would take a minute."""
    windows, seconds = 2000, 3600.0
    hop, labels = seconds / windows, EMOTIONS
    spans = [
        {"start": 3 * i, "end": 3 * i + 3, "emotion": labels[i % len(labels)], "confidence": 0.5}
        for i in range(1200)
    ]
    scores = dict.fromkeys(labels, 1 / len(labels))
    frames = [
        {
            "start": hop * i,
            "end": hop * (i + 1),
            "emotion": "sad",
            "confidence": 0.5,
            "scores": scores,
        }
        for i in range(windows)
    ]
    return {
        "file": "hour.wav", "granularity": "frame", "emotion": "sad", "confidence": 0.5,
        "calibrated": True, "restricted": False, "scores": scores, "top": [], "seconds": seconds,
        "warnings": [], "normalization": "whole", "model": "model", "provider": "cpu",
        "timings": {"decode": 1, "encode": 1}, "frames": frames, "segments": spans,
        "peaks": [[-0.5, 0.5]] * 1200,
    }  # fmt: skip


@browsing
def test_an_hour_does_not_hold_the_page_up(page, tmp_path):
    job = {"id": "1", "state": "done", "progress": {"done": 3600, "total": 3600}}
    answer = json.dumps({**job, "result": document_of_an_hour()})
    page.route("**/v1/jobs?*", lambda route: route.fulfill(status=202, json=job))
    page.route("**/v1/jobs/1", lambda route: route.fulfill(body=answer))
    page.evaluate(
        """() => {
            let last = performance.now();
            window.longest = 0;
            setInterval(() => {
                const now = performance.now();
                window.longest = Math.max(window.longest, now - last);
                last = now;
            }, 10);
        }"""
    )
    send(page, long_recording(tmp_path / "hour.wav", 3600))
    clock = page.locator(".card .clock")
    expect(clock).to_have_text("0:00 / 1:00:00")
    page.locator(".wave").press("End")
    expect(clock).to_have_text("1:00:00 / 1:00:00")
    rows = page.locator(".rows tbody tr")
    assert rows.count() < 50
    page.get_by_role("button", name=re.compile(r"Show \d+ more")).click()
    expect(rows).to_have_count(1200)
    assert page.evaluate("window.longest") < 3000


@browsing
def test_a_server_that_is_away_is_told_and_met_again(browser, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving("--port", port, folder=tmp_path) as running, visit(browser, running) as page:
        running.stop()
        send(page, COLD)
        expect(page.locator("tr.failed")).to_contain_text("The server cannot be reached")
        page.complaints.clear()  # the browser's own lines about the connection
        with serving("--port", port, folder=tmp_path):
            page.get_by_role("button", name="Try again").click()
            expect(page.locator(".verdict .name")).to_have_text(emotion_of(COLD).capitalize())
