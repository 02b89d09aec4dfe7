"""The page of a service with a store: search, and the map under the policy of the service."""

import pytest
from browser import TOKEN, chromium, send, serving, visit
from commands import e2v

from emotion2vec_edge.engine import example_recordings

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip(
    "playwright.sync_api", reason="SKIPPED LOUDLY: playwright is not installed"
)
expect = sync_api.expect

COLD, LEISURE, _ = example_recordings()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    done = e2v("embed", *example_recordings(), "-o", folder / "calls", "--window", 1)
    assert done.returncode == 0, done.stderr
    (folder / "token").write_text(TOKEN)
    options = ("--store", folder / "calls", "--token-file", folder / "token")
    with serving(*options, folder=folder) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_search_leads_to_the_map(browser, service, scheme):
    size = {"width": 1000, "height": 800}
    with visit(browser, service, ready=False, viewport=size, color_scheme=scheme) as page:
        page.fill("#token", TOKEN)
        page.get_by_role("button", name="Use").click()
        page.wait_for_selector("body[data-ready]")
        page.get_by_role("tab", name="Compare").press("ArrowRight")
        expect(page.get_by_role("tab", name="Search")).to_be_focused()
        expect(page.locator("#search-size")).to_contain_text("recordings, turns and windows")
        page.set_input_files("#search-input", str(COLD))
        nearest = page.locator("#search-nearest li")
        expect(nearest).to_have_count(17)
        assert COLD.name in " ".join(nearest.all_inner_texts()[:4])
        with page.context.expect_page() as opened:
            nearest.filter(has_text=f"{COLD.name} [0.00").locator("a").click()
        drawn = opened.value
        said = []
        drawn.on("console", lambda message: said.append(message.text))
        drawn.on("pageerror", lambda error: said.append(str(error)))
        expect(drawn.locator("#status")).to_contain_text(COLD.name)
        expect(drawn.locator("h1")).to_contain_text("calls: ")
        drawn.select_option("#path", index=1)
        expect(drawn.locator("#list button").first).to_contain_text("[0.00")
        assert drawn.locator("#plays").is_hidden()
        drawn.reload()
        expect(drawn.locator("h1")).to_contain_text("calls: ")
        assert not said


def test_recordings_of_the_page_are_searched_with(browser, service, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_text("no sound")
    with visit(browser, service, ready=False) as page:
        page.fill("#token", TOKEN)
        page.get_by_role("button", name="Use").click()
        page.wait_for_selector("body[data-ready]")
        send(page, LEISURE, broken)
        page.get_by_role("tab", name="Search").click()
        page.get_by_label("or with one of your recordings").select_option(LEISURE.name)
        expect(page.locator("#search-about")).to_contain_text(f"sounds like {LEISURE.name}")
        page.get_by_label("or with one of your recordings").select_option("broken.wav")
        expect(page.locator("#search-problem")).to_contain_text("is it audio?")
        assert page.locator("#search-nearest li").count() == 0


def test_the_map_without_a_token_says_why_it_is_empty(browser, service):
    page = browser.new_page()
    page.goto(f"{service.url}/page/map.html")
    expect(page.locator("#status")).to_contain_text("give the token")
    page.close()
