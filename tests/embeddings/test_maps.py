"""Maps: places in the plane, what the page holds, and the page in a real browser."""

import json
import re

import numpy as np
import pytest
from browser import chromium

from emotion2vec_edge.engine.embeddings.clips import StoredClip
from emotion2vec_edge.engine.embeddings.maps import (
    GRID,
    MapSettings,
    Plane,
    map_page,
    placed,
    read_clusters,
    trajectory_of,
)
from emotion2vec_edge.engine.errors import OptionError, OutputError, StoreError

COLOURS = {"sad": "#2f62a6", "happy": "#ffca54"}


def made(count, rng):
    points = rng.standard_normal((count, 2)).astype(np.float32)
    clips = [
        StoredClip(
            f"calls/call {n // 10}.wav", float(n % 10), n % 10 + 1.0, "sad", f"s{n % 3}",
            emotion=("sad", "happy")[n % 2], confidence=0.7, text="</script><b>no" if n == 0 else None,
        )
        for n in range(count)
    ]  # fmt: skip
    return points, clips


def data_of(page):
    text = re.search(r"^const data = (.*);$", page.decode(), re.MULTILINE)[1]
    return json.loads(text)


def test_the_plane_is_that_of_the_principal_components(rng):
    vectors = (rng.standard_normal((200, 5)) * [5, 3, 1, 1, 1]).astype(np.float32)
    points = Plane.of(vectors).place(vectors)
    _, singular, _ = np.linalg.svd(vectors - vectors.mean(axis=0))
    np.testing.assert_allclose((points**2).sum(axis=0), singular[:2] ** 2, rtol=1e-3)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-4)


def test_new_clips_land_among_the_old(rng, tmp_path):
    vectors = rng.standard_normal((50, 5)).astype(np.float32)
    first = placed(vectors, "pca", tmp_path / "plane.npz")
    more = np.concatenate([vectors, 3 * rng.standard_normal((50, 5)).astype(np.float32)])
    np.testing.assert_array_equal(placed(more, "pca", tmp_path / "plane.npz")[:50], first)
    (tmp_path / "plane.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(StoreError, match="plane.npz: not a plane.*remove it"):
        placed(vectors, "pca", tmp_path / "plane.npz")
    with pytest.raises(OptionError, match="2 embeddings; a map has 3 to 200,000"):
        placed(vectors[:2], "pca")


@pytest.mark.slow
def test_neighbours_stay_neighbours_under_tsne(rng):
    pytest.importorskip("sklearn", reason="SKIPPED LOUDLY: scikit-learn is not installed")
    vectors = np.concatenate([np.eye(2, 5), -np.eye(2, 5)])[np.arange(60) % 4]
    points = placed((vectors + 0.05 * rng.standard_normal((60, 5))).astype(np.float32), "tsne")
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(60)
    assert (distances.argmin(axis=1) % 4 == np.arange(60) % 4).mean() > 0.9


def test_the_page_holds_everything_and_asks_for_nothing(rng, tmp_path):
    points, clips = made(40, rng)
    page = map_page(points, clips, ["0: sad"] * 40, MapSettings("mine", COLOURS, tmp_path))
    data = data_of(page)
    assert len(data["x"]) == 40
    assert max(map(abs, data["x"] + data["y"])) <= GRID / 2 + 1
    assert data["groups"]["emotion"]["names"] == ["happy", "sad"]
    assert data["groups"]["cluster"]["names"] == ["0: sad"]
    assert data["groups"]["corpus"] is None
    assert page.count(b"</script>") == 1  # that of the page itself
    assert data["text"][0] == "</script><b>no"
    assert not re.search(rb"https?://", page)
    assert all(link.endswith("calls/call%200.wav") for link in data["sounds"][:1])


def test_sound_is_put_into_the_page_up_to_a_limit(rng, tmp_path, monkeypatch):
    points, clips = made(3, rng)
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "call 0.wav").write_bytes(b"RIFF")
    monkeypatch.chdir(tmp_path)
    settings = MapSettings("mine", COLOURS, tmp_path, embed_audio=True)
    assert data_of(map_page(points, clips, None, settings))["sounds"] == [
        "data:audio/*;base64,UklGRg=="
    ]
    monkeypatch.setattr("emotion2vec_edge.engine.embeddings.maps.MOST_EMBEDDED_BYTES", 3)
    with pytest.raises((OutputError, StoreError)):
        map_page(points, clips, None, settings)
    monkeypatch.undo()
    with pytest.raises(StoreError, match="cannot be read"):
        map_page(points, [StoredClip("gone.wav")] * 3, None, settings)


def test_clusters_are_read_and_checked(tmp_path):
    clips = [StoredClip("a.wav"), StoredClip("b.wav", 0.0, 1.0)]
    path = tmp_path / "clusters.jsonl"
    rows = [
        {"path": "a.wav", "start": None, "end": None, "cluster": 2, "name": "sad 60%"},
        {"path": "b.wav", "start": 0.0, "end": 1.0, "cluster": -1, "name": None},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert read_clusters(path, clips) == ["2: sad 60%", "no cluster"]
    with pytest.raises(StoreError, match="has no cluster of c.wav"):
        read_clusters(path, [*clips, StoredClip("c.wav")])
    path.write_text("[1]")
    with pytest.raises(StoreError, match="not the clusters of"):
        read_clusters(path, clips)


def test_the_parts_of_a_recording_are_in_the_order_of_time():
    clips = [
        StoredClip("in/a.wav", start, start + 1) for start in (2.0, 0.0, 1.0)
    ] + [StoredClip("in/b.wav", 0.0, 1.0), StoredClip("in/b.wav"), StoredClip("on/a.wav", 0.0, 1.0)]  # fmt: skip
    assert trajectory_of(clips, "in/a.wav") == [1, 2, 0]
    with pytest.raises(OptionError, match="2 recordings have this name; .* in/a.wav, "):
        trajectory_of(clips, "a.wav")
    assert trajectory_of(clips[:3], "a.wav") == [1, 2, 0]
    with pytest.raises(OptionError, match="trajectory b.wav: it has no path"):
        trajectory_of(clips, "b.wav")
    with pytest.raises(OptionError, match="embed with --turns or --window"):
        trajectory_of([StoredClip("a.wav")], "a.wav")


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("count", [100, 50_000])
def test_the_page_works_in_a_browser(browser, rng, tmp_path, count):
    said, asked = [], []
    page = browser.new_page(viewport={"width": 1000, "height": 700})
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    points, clips = made(count, rng)
    (tmp_path / "map.html").write_bytes(
        map_page(points, clips, None, MapSettings("mine", COLOURS, tmp_path))
    )
    page.goto((tmp_path / "map.html").as_uri())
    assert page.inner_text("#status") == f"{count} embeddings"
    assert page.locator("#legend button").count() == 2
    page.fill("#search", "happy s1")
    page.wait_for_selector("#status:has-text('selected')")
    wanted = sum(clip.emotion == "happy" and clip.speaker == "s1" for clip in clips)
    assert page.inner_text("#status").startswith(f"{wanted} of {count} selected")
    page.click("#reset")
    page.keyboard.down("Shift")
    page.mouse.move(5, 5)
    page.mouse.down()
    for x, y in ((690, 5), (690, 690), (5, 690)):
        page.mouse.move(x, y)
    page.mouse.up()
    page.keyboard.up("Shift")
    page.wait_for_selector("#list button")
    assert int(page.inner_text("#status").split()[0]) > 0.95 * count
    page.select_option("#path", index=1)
    page.select_option("#colour", "time")
    assert page.locator("#legend button").count() == 10
    x, y = page.evaluate("[screenX(7) / ratio, screenY(7) / ratio]")
    page.mouse.move(x + 1, y)
    page.wait_for_selector("#tip")
    page.mouse.click(x, y)
    page.wait_for_selector("#status:has-text('cannot be played')")
    assert not [line for line in said if "ERR_FILE_NOT_FOUND" not in line]
    page.close()
    assert not [url for url in asked if not url.startswith("file:")]


@pytest.mark.slow
@pytest.mark.parametrize(("count", "scheme"), [(100, "light"), (5_000, "dark")])
def test_the_path_of_a_recording_is_shown_and_chosen_by_a_click(
    browser, rng, tmp_path, count, scheme
):
    said = []
    page = browser.new_page(viewport={"width": 1000, "height": 700}, color_scheme=scheme)
    page.on("pageerror", lambda error: said.append(str(error)))
    points, clips = made(count, rng)
    clips.reverse()  # times fall in the store
    settings = MapSettings("mine", COLOURS, tmp_path, trajectory="calls/call 3.wav")
    (tmp_path / "map.html").write_bytes(map_page(points, clips, None, settings))
    page.goto((tmp_path / "map.html").as_uri())
    assert page.inner_text("#status") == "calls/call 3.wav: 10 parts"
    assert page.evaluate("steps().map(i => data.start[i])") == list(range(10))
    listed = page.locator("#list button")
    assert listed.count() == 10
    assert listed.first.inner_text().startswith("call 3.wav [0.00–1.00 s]")
    # A lone point of another recording is clicked.
    page.evaluate("scale = fitted() * 400; middleX = data.x[7]; middleY = data.y[7]; draw()")
    x, y = page.evaluate("[screenX(7) / ratio, screenY(7) / ratio]")
    page.mouse.click(x, y)
    other = clips[7].path
    assert page.locator("#path option:checked").inner_text() == f"{other} (10)"
    assert page.evaluate("new Set(steps().map(fileName)).size") == 1
    assert listed.first.inner_text().startswith(other.split("/")[1])
    page.click("#reset")
    assert page.input_value("#path") == ""
    assert page.inner_text("#status") == f"{count} embeddings"
    page.wait_for_timeout(50)
    plain = page.evaluate("canvas.toDataURL()")
    page.select_option("#path", index=1)
    page.wait_for_timeout(50)
    assert page.evaluate("canvas.toDataURL()") != plain
    page.close()
    assert not said
