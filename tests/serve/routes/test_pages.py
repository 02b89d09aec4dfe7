"""The files of the page."""

from serving import serving  # noqa: F401 - skips where the service's packages are missing


def test_a_file_that_has_not_changed_is_not_sent_again(running):
    for path in ("/", "/page/style.css", "/page/app.js"):
        first = running.http.get(path)
        assert first.status_code == 200
        assert first.headers["cache-control"] == "no-cache"
        etag = first.headers["etag"]
        again = running.http.get(path, headers={"if-none-match": etag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        assert running.http.get(path, headers={"if-none-match": '"other"'}).status_code == 200


def test_the_header_alone_can_be_asked_for(running):
    answer = running.http.head("/page/app.js")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
