"""An S3 server on loopback (moto's), of whose requests a share fails."""

import contextlib
import logging
import random
import threading

import pytest

pytest.importorskip("s3fs", reason="SKIPPED LOUDLY: pip install s3fs")
_server = pytest.importorskip("moto.server", reason="SKIPPED LOUDLY: pip install 'moto[server]'")

from werkzeug.serving import make_server  # noqa: E402


class Flaky:
    """A WSGI application that answers 503 in place of another one, at random."""

    def __init__(self, app, share):
        self.app, self.share, self.random = app, share, random.Random(5)  # noqa: S311
        self.requests = self.failed = 0

    def __call__(self, environ, start_response):
        self.requests += 1
        if self.random.random() >= self.share:
            return self.app(environ, start_response)
        self.failed += 1
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response("503 Service Unavailable", [("Content-Length", "0")])
        return [b""]


@contextlib.contextmanager
def s3_server(monkeypatch, bucket, share=0.0):
    """Run a server with an empty bucket, which clients of this process find: the flaky part."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    flaky = Flaky(_server.DomainDispatcherApplication(_server.create_backend_app), 0.0)
    server = make_server("127.0.0.1", 0, flaky, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    if store.exists(bucket):  # moto keeps what an earlier server of this process had
        store.rm(bucket, recursive=True)
    store.mkdir(bucket)
    flaky.share = share
    try:
        yield flaky
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        server.shutdown()
        thread.join()
        server.server_close()
