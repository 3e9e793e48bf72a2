"""A Hugging Face hub on this machine: its API under one host name, its files under another, as the
real one sends people to a CDN. Records what it was asked, and can be told to misbehave.
"""
import hashlib
import http.server
import json
import threading
import urllib.parse

COMMIT = "a" * 40


class FakeHub:
    """files: {"user/repo": {path: bytes}}. The API is at `url`, the files at `cdn_url`."""

    def __init__(self, files):
        self.files = files
        self.commit = COMMIT
        self.requests = []      # (server, method, path with query, headers in lower case)
        self.token = None       # when set, the API and the files want it
        self.page_size = 1000   # entries of a page of the tree
        self.cut_after = None   # bytes after which each answer of the CDN breaks off
        self.ranges = True      # the CDN knows ranges
        self.damage = False     # the CDN sends a wrong byte
        self.answers = {}       # path -> (status, headers, body): said instead of the truth
        self.lock = threading.Lock()
        self.api = self._serve("127.0.0.1", self._answer_api)
        self.cdn = self._serve("localhost", self._answer_cdn)
        self.url = f"http://127.0.0.1:{self.api.server_port}"
        self.cdn_url = f"http://localhost:{self.cdn.server_port}"

    def close(self):
        for server in (self.api, self.cdn):
            server.shutdown()
            server.server_close()

    def asked(self, server, text=""):
        with self.lock:
            return [r for r in self.requests if r[0] == server and text in r[2]]

    def forget(self):
        with self.lock:
            self.requests.clear()

    def sent_bytes(self):
        return self.n_sent

    n_sent = 0  # bytes of files that the CDN sent

    def _serve(self, host, answer):
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                headers = {k.lower(): v for k, v in self.headers.items()}
                with hub.lock:
                    hub.requests.append((host, self.command, self.path, headers))
                try:
                    answer(self, headers)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_HEAD = do_GET

            def say(self, status, headers, body=b""):
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                if not any(key.lower() == "content-length" for key in headers):
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def say_json(self, value, headers=None):
                self.say(200, {"Content-Type": "application/json", **(headers or {})},
                         json.dumps(value).encode())

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def _answer_api(self, handler, headers):
        path, _, query = handler.path.partition("?")
        if path in self.answers:
            return handler.say(*self.answers[path])
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            return handler.say(401, {"X-Error-Code": "RepoNotFound"}, b'{"error":"no"}')
        query = urllib.parse.parse_qs(query)
        if path == "/api/models":
            return handler.say_json(self._search(query))
        parts = urllib.parse.unquote(path).strip("/").split("/")
        is_api = parts[:2] == ["api", "models"]
        repository = "/".join(parts[2:4] if is_api else parts[:2])
        if repository not in self.files:
            return handler.say(404, {"X-Error-Code": "RepoNotFound"}, b'{"error":"not found"}')
        rest = parts[4:] if is_api else parts[2:]
        if is_api and rest[:1] == ["refs"]:
            return handler.say_json({"tags": [], "converts": [], "branches": [
                {"name": "other", "ref": "refs/heads/other", "targetCommit": "b" * 40},
                {"name": "main", "ref": "refs/heads/main", "targetCommit": self.commit}]})
        if is_api and rest[:1] == ["tree"]:
            return self._say_tree(handler, repository, path, query)
        if is_api:
            siblings = [{"rfilename": name} for name in self.files[repository]]
            return handler.say_json({"id": repository, "sha": self.commit, "siblings": siblings,
                                     "private": False, "gated": False, "disabled": False})
        if rest[:1] == ["resolve"]:
            return self._say_file(handler, repository, "/".join(rest[2:]))
        return handler.say(404, {}, b'{"error":"no such page"}')

    def _search(self, query):
        words = query.get("search", [""])[0].lower().split()
        found = [name for name in self.files if all(word in name.lower() for word in words)]
        return [{"id": name, "modelId": name, "downloads": 1000 * (i + 1), "likes": i,
                 "lastModified": "2026-10-01T12:00:00.000Z", "tags": ["gguf"]}
                for i, name in enumerate(found)][:int(query.get("limit", ["20"])[0])]

    def _say_tree(self, handler, repository, path, query):
        entries = []
        for name, data in sorted(self.files[repository].items()):
            entry = {"type": "file", "path": name, "size": len(data),
                     "oid": hashlib.sha1(data).hexdigest()}
            if name.endswith(".gguf"):
                entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data),
                                "pointerSize": 134}
            entries.append(entry)
        begin = int(query.get("cursor", ["0"])[0])
        end = begin + self.page_size
        headers = {}
        if end < len(entries):
            headers["Link"] = f'<{self.url}{path}?recursive=true&cursor={end}>; rel="next"'
        handler.say_json(entries[begin:end], headers)

    def _say_file(self, handler, repository, name):
        data = self.files[repository].get(name)
        if data is None:
            return handler.say(404, {"X-Error-Code": "EntryNotFound"}, b'{"error":"no entry"}')
        digest = hashlib.sha256(data).hexdigest()
        headers = {"X-Repo-Commit": self.commit, "Accept-Ranges": "bytes"}
        if not name.endswith(".gguf"):
            headers["ETag"] = f'"{hashlib.sha1(data).hexdigest()}"'
            return handler.say(200, headers, data)
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data)),
                    "ETag": f'"{digest}"', "Location": f"{self.cdn_url}/cdn/{digest}?sign=x"}
        return handler.say(302, headers)

    def _answer_cdn(self, handler, headers):
        if handler.path.partition("?")[0] in self.answers:
            return handler.say(*self.answers[handler.path.partition("?")[0]])
        digest = handler.path.partition("?")[0].rpartition("/")[2]
        data = self._blob(digest)
        if data is None:
            return handler.say(404, {}, b"no such blob")
        if self.damage:
            data = data[:-1] + bytes([data[-1] ^ 1])
        status, answer = 200, {"ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
        body = data
        if self.ranges and "range" in headers:
            first, _, last = headers["range"].partition("=")[2].partition("-")
            begin, end = int(first), min(int(last) + 1 if last else len(data), len(data))
            status, body = 206, data[begin:end]
            answer["Content-Range"] = f"bytes {begin}-{end - 1}/{len(data)}"
        answer["Content-Length"] = str(len(body))
        if self.cut_after is not None:
            body = body[:self.cut_after]
            handler.close_connection = True
        with self.lock:
            FakeHub.n_sent += len(body) if handler.command != "HEAD" else 0
        handler.say(status, answer, body)

    def _blob(self, digest):
        for files in self.files.values():
            for name, data in files.items():
                if name.endswith(".gguf") and hashlib.sha256(data).hexdigest() == digest:
                    return data
        return None
