"""A stand-in for Hugging Face's hub on loopback, with the part of its protocol that huggingface_hub
speaks to fetch a repository and to send one over Git LFS. It checks what it is sent."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_standin"  # noqa: S105 - of a server that lives for one test


class StandInHub:
    """Repositories in memory.

    ``repositories``: id → branch → commit; ``commits``: commit → path → bytes; ``requests``:
    (method, path) as they came.
    """

    def __init__(self):
        self.repositories, self.commits, self.objects, self.requests = {}, {}, {}, []
        self.subjects = []
        hub = self

        class Handler(_Handler):
            state = hub

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def add(self, repository, files, branch="main"):
        """A commit of these files alone: its sha."""
        text = repr(sorted((path, len(content)) for path, content in files.items()))
        sha = hashlib.sha256(f"{len(self.commits)}{text}".encode()).hexdigest()[:40]
        self.commits[sha] = dict(files)
        self.repositories.setdefault(repository, {})[branch] = sha
        return sha

    def files(self, repository, branch="main"):
        return self.commits[self.repositories[repository][branch]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        self.answer("GET")

    def do_HEAD(self):
        self.answer("HEAD")

    def do_POST(self):
        self.answer("POST")

    def do_PUT(self):
        self.answer("PUT")

    def answer(self, method):
        path = unquote(urlsplit(self.path).path)
        self.state.requests.append((method, path))
        self.body = self.read_body()
        for pattern, methods, function in _ROUTES:
            if method in methods and (match := re.fullmatch(pattern, path)):
                if method == "POST" and self.headers["authorization"] != f"Bearer {TOKEN}":
                    return self.send(401, {"error": "Invalid username or password."})
                return function(self, *match.groups())
        return self.send(404, {"error": f"no route {method} {path}"})

    def read_body(self):
        if self.headers.get("transfer-encoding") == "chunked":
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def send(self, status, document=None, content=None, **headers):
        content = json.dumps(document).encode() if content is None else content
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def commit(self, repository, revision):
        """The sha of a revision; None after an answer that there is none."""
        branches = self.state.repositories.get(repository)
        if branches is None:
            self.send(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
            return None
        sha = revision if revision in self.state.commits else branches.get(revision or "main")
        if sha is None:
            self.send(404, {"error": "Invalid rev id"}, X_Error_Code="RevisionNotFound")
        return sha

    def info(self, repository, revision=None):
        if sha := self.commit(repository, revision):
            siblings = [{"rfilename": path} for path in self.state.commits[sha]]
            self.send(
                200,
                {"id": repository, "modelId": repository, "sha": sha, "private": False, "tags": [],
                 "downloads": 0, "likes": 0, "siblings": siblings},
            )  # fmt: skip

    def tree(self, repository, revision):
        if sha := self.commit(repository, revision):
            self.send(
                200,
                [
                    {"type": "file", "path": path, "size": len(content), "oid": _oid(content)}
                    for path, content in self.state.commits[sha].items()
                ],
            )

    def resolve(self, repository, revision, path):
        sha = self.commit(repository, revision)
        if sha is None:
            return
        content = self.state.commits[sha].get(path)
        if content is None:
            self.send(
                404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound", X_Repo_Commit=sha
            )
            return
        start = int((re.match(r"bytes=(\d+)-", self.headers.get("range", "")) or [0, 0])[1])
        more = (
            {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        )
        self.send(
            206 if start else 200, content=content[start:], ETag=f'"{_oid(content)}"',
            X_Repo_Commit=sha, Accept_Ranges="bytes", **more,
        )  # fmt: skip

    def create(self):
        given = json.loads(self.body)
        repository = "/".join(filter(None, (given["organization"], given["name"])))
        if repository in self.state.repositories:
            address = f"{self.state.address}/{repository}"
            self.send(409, {"error": "You already created this model repo", "url": address})
            return
        self.state.add(repository, {".gitattributes": b"*.onnx filter=lfs\n"})
        self.send(200, {"url": f"{self.state.address}/{repository}", "id": repository})

    def branch(self, repository, branch):
        branches = self.state.repositories[repository]
        if branch in branches:
            self.send(409, {"error": "Reference already exists"})
            return
        branches[branch] = branches["main"]
        self.send(200, {})

    def preupload(self, repository, revision):
        if self.commit(repository, revision):
            files = json.loads(self.body)["files"]
            modes = [
                {"path": file["path"], "shouldIgnore": False,
                 "uploadMode": "lfs" if file["path"].endswith((".onnx", ".npz")) else "regular"}
                for file in files
            ]  # fmt: skip
            self.send(200, {"files": modes})

    def batch(self, repository):
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            oid = wanted["oid"]
            actions = {
                "upload": {"href": f"{self.state.address}/lfs/{oid}", "header": {}},
                "verify": {"href": f"{self.state.address}/lfs/verify"},
            }
            objects.append(wanted if oid in self.state.objects else {**wanted, "actions": actions})
        self.send(200, {"transfer": "basic", "objects": objects})

    def put(self, oid):
        if hashlib.sha256(self.body).hexdigest() != oid:
            self.send(400, {"error": "content does not have this oid"})
            return
        self.state.objects[oid] = self.body
        self.send(200, {})

    def verify(self):
        given = json.loads(self.body)
        held = self.state.objects.get(given["oid"], b"")
        self.send(200 if len(held) == given["size"] else 404, {})

    def validate(self):
        text = json.loads(self.body)["content"]
        errors = [] if text.startswith("---\n") else [{"message": "no metadata"}]
        self.send(400 if errors else 200, {"errors": errors, "warnings": []})

    def receive(self, repository, revision):
        sha = self.commit(repository, revision)
        if sha is None:
            return
        files = dict(self.state.commits[sha])
        for line in map(json.loads, self.body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.state.subjects.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.state.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        new = self.state.add(repository, files, revision)
        address = f"{self.state.address}/{repository}/commit/{new}"
        self.send(200, {"commitUrl": address, "commitOid": new})


def _oid(content):
    return hashlib.sha256(content).hexdigest()


_ID = r"([\w.-]+/[\w.-]+)"
_ROUTES = (
    (rf"/api/models/{_ID}", {"GET"}, _Handler.info),
    (rf"/api/models/{_ID}/revision/(.+)", {"GET"}, _Handler.info),
    (rf"/api/models/{_ID}/tree/([^/]+)/?", {"GET"}, _Handler.tree),
    (rf"/{_ID}/resolve/([^/]+)/(.+)", {"GET", "HEAD"}, _Handler.resolve),
    (r"/api/repos/create", {"POST"}, _Handler.create),
    (rf"/api/models/{_ID}/branch/(.+)", {"POST"}, _Handler.branch),
    (rf"/api/models/{_ID}/preupload/(.+)", {"POST"}, _Handler.preupload),
    (rf"/{_ID}\.git/info/lfs/objects/batch", {"POST"}, _Handler.batch),
    (r"/lfs/verify", {"POST"}, _Handler.verify),
    (r"/lfs/(\w+)", {"PUT"}, _Handler.put),
    (r"/api/validate-yaml", {"POST"}, _Handler.validate),
    (rf"/api/models/{_ID}/commit/(.+)", {"POST"}, _Handler.receive),
)
