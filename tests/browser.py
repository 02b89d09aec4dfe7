"""Debian's chromium at the page of a service, as a user sits before it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from commands import E2V

from emotion2vec_edge.engine import Recognizer

PROGRAMS = ("chromium", "google-chrome")
TOKEN = "a-token-of-this-test"  # noqa: S105 - it opens nothing else
PATIENCE_MS = 20_000
LAUNCHED = ("--no-sandbox", "--autoplay-policy=no-user-gesture-required")
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of (4\d\d|503)")
"""Line of the console for each answer that is an error, also where the page expects it."""


@contextlib.contextmanager
def serving(*options, folder):
    """Address of a service; its cache and its temporary files lie in a folder."""
    for name in ("fastapi", "uvicorn", "multipart", "websockets", "prometheus_client"):
        pytest.importorskip(name, reason=f"SKIPPED LOUDLY: {name} is not installed")
    environment = {**os.environ, "E2V_CACHE": str(folder / "cache"), "TMPDIR": str(folder)}
    environment.pop("E2V_MODEL", None)
    log = folder / "log"  # a pipe that nobody reads would hold the service up
    with (
        log.open("w") as out,
        subprocess.Popen(
            [*E2V, "serve", "--port", "0", "--preload", *map(str, options)],
            stderr=out, env=environment,
        ) as process,
    ):  # fmt: skip
        running = Service(process)
        try:
            while not (address := re.search(r"e2v serve: (https?://[^\s/]+)", log.read_text())):
                assert process.poll() is None, f"the service did not start: {log.read_text()}"
                time.sleep(0.02)
            running.url = address[1]
            yield running
        finally:
            running.stop()


class Service:
    """A running service."""

    def __init__(self, process):
        self.process = process
        self.url = None

    def stop(self):
        """End it as a service is ended."""
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=15)
        self.process.kill()


@contextlib.contextmanager
def chromium(*options):
    """A browser without windows; playwright's loop runs as long as it is open."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="SKIPPED LOUDLY: playwright is not installed"
    )
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"SKIPPED LOUDLY: none of {', '.join(PROGRAMS)} is installed")
    sync_api.expect.set_options(timeout=PATIENCE_MS)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*LAUNCHED, *options])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def visit(browser, service, *, path="/", ready=True, **context):
    """A page that is ready; afterwards its console has no error, and it asked nobody else.

    Args:
        browser: as of :func:`chromium`.
        service: the service, or its address.
        path: path of the page.
        ready: True to wait until the page knows the model.
        context: size, language and the like of the browser's window.
    """
    url = getattr(service, "url", service)
    visitor = browser.new_context(**{"locale": "en-GB", "accept_downloads": True, **context})
    page = visitor.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.complaints = []
    page.asked = []

    def listen(message):
        if message.type == "error" and not REFUSED.match(message.text):
            page.complaints.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("websocket", lambda socket: page.asked.append(socket.url))
    try:
        page.goto(url + path)
        page.wait_for_selector("body[data-ready]" if ready else "body[data-words]")
        yield page
    finally:
        visitor.close()
    own = urlsplit(url).netloc
    strange = [asked for asked in page.asked if urlsplit(asked.removeprefix("blob:")).netloc != own]
    assert not page.complaints, page.complaints
    assert not strange, strange


def send(page, *files):
    """Choose files, and wait until each has its result or its error."""
    page.set_input_files("#choose-files-input", [str(file) for file in files])
    page.wait_for_selector("#files[aria-busy=false]")


def emotion_of(recording, language="en"):
    """The embedded model's answer, as the page writes it in a language but for capitals."""
    recognizer = Recognizer.load()
    emotion = recognizer.recognize(recording).emotion
    display = {label.id: label.display for label in recognizer.bundle.manifest.labels}
    return emotion if language == "en" else display[emotion]


def saved(page, folder, press):
    """The file that is downloaded when something is pressed."""
    with page.expect_download() as download:
        press()
    path = Path(folder) / download.value.suggested_filename
    download.value.save_as(path)
    return path
