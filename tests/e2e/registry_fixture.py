"""Debian's docker-registry on a free port, a chaos proxy in front of it, and ways to fill it.

Used by registry_test.py. The registry is a real one: what llmrun sends and asks is checked by it.
"""
import base64
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

MEDIA = "application/vnd.ollama.image."
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"


def registry_program():
    for name in ("docker-registry", "registry"):
        if shutil.which(name):
            return name
    return None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Registry:
    """A running docker-registry that keeps its files in a folder of its own. With `login`
    ("user:password") it wants that, its password being "secret"."""

    # bcrypt of "secret", the only form of password that docker-registry takes.
    LOGIN_HASH = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"

    def __init__(self, login=None):
        self.login = login
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="llmrun-registry-"))
        self.port = free_port()
        config = self.folder / "config.yml"
        config.write_text(
            "version: 0.1\nlog: {level: error}\n"
            f"storage: {{filesystem: {{rootdirectory: {self.folder}/data}}, delete: {{enabled: true}}}}\n"
            f"http: {{addr: '127.0.0.1:{self.port}'}}\n")
        if login:
            passwords = self.folder / "passwords"
            passwords.write_text(f"{login.split(':')[0]}:{self.LOGIN_HASH}\n")
            with open(config, "a") as text:
                text.write(f"auth: {{htpasswd: {{realm: test, path: '{passwords}'}}}}\n")
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen([registry_program(), "serve", str(config)],
                                        stdout=self.log, stderr=self.log)
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("docker-registry did not start")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = dict(headers or {})
        if self.login:
            headers["Authorization"] = "Basic " + base64.b64encode(self.login.encode()).decode()
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def put_blob(self, repository, content):
        answer, _ = self.request("POST", f"/v2/{repository}/blobs/uploads/")
        location = urllib.parse.urlsplit(answer.getheader("Location"))
        query = location.query + "&" if location.query else ""
        answer, said = self.request(
            "PUT", f"{location.path}?{query}digest={digest(content)}", content,
            {"Content-Type": "application/octet-stream"})
        assert answer.status == 201, (answer.status, said)

    def put_model(self, repository, tag, layers, config=None):
        """layers: [(kind, bytes)]; answers the manifest's text."""
        config = config if config is not None else b'{"model_format":"gguf"}'
        for content in [config] + [content for _, content in layers]:
            self.put_blob(repository, content)
        text = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest(config), "size": len(config)},
            "layers": [{"mediaType": MEDIA + kind, "digest": digest(content),
                        "size": len(content)} for kind, content in layers]}).encode()
        answer, said = self.request("PUT", f"/v2/{repository}/manifests/{tag}", text,
                                    {"Content-Type": MANIFEST})
        assert answer.status == 201, (answer.status, said)
        return text

    def get_manifest(self, repository, tag):
        return self.request("GET", f"/v2/{repository}/manifests/{tag}",
                            headers={"Accept": MANIFEST})


class Chaos:
    """What the proxy does to a request; chosen anew for each by a seeded generator."""

    FAULTS = ("none", "cut", "stall", "flip", "error", "busy", "away", "no_ranges", "short_manifest",
              "reset")

    def __init__(self, seed=0, faults=(), share=0.0):
        self.random = random.Random(seed)
        self.faults = tuple(faults)
        self.share = share
        self.lock = threading.Lock()

    def pick(self):
        with self.lock:
            if self.faults and self.random.random() < self.share:
                return self.random.choice(self.faults), self.random.random()
            return "none", 0.0


class Proxy:
    """Stands between llmrun and the registry, and plays a second host that redirects lead to."""

    def __init__(self, registry):
        self.registry = registry
        self.chaos = Chaos()
        self.seen = []  # (host, method, path, headers in lower case)
        self.delay = 0.0  # seconds per 64 KiB
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                try:
                    proxy.serve(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, handler):
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length) if length else None
        headers = {name.lower(): value for name, value in handler.headers.items()}
        host = headers.get("host", "").split(":")[0]
        self.seen.append((host, handler.command, handler.path, headers))
        is_blob = "/blobs/sha256:" in handler.path
        fault, level = self.chaos.pick()
        if fault == "error":
            return self.answer(handler, 500 + int(level * 4), b"chaos")
        if fault == "busy":
            return self.answer(handler, 429, b"slow down", {"Retry-After": "1"})
        if fault == "reset":
            handler.close_connection = True
            handler.connection.close()
            return None
        if fault == "away" and is_blob and host == "127.0.0.1":
            return self.answer(handler, 307, b"", {
                "Location": f"http://localhost:{self.port}{handler.path}"})
        sent = {name: value for name, value in headers.items()
                if name in ("range", "accept", "content-type", "content-range")}
        if fault == "no_ranges":
            sent.pop("range", None)
        upstream, content = self.registry.request(handler.command, handler.path, body, sent)
        kept = {name: upstream.getheader(name) for name in (
            "Location", "Range", "Content-Range", "Docker-Content-Digest", "Content-Type")
            if upstream.getheader(name)}
        if "Location" in kept:
            kept["Location"] = kept["Location"].replace(f":{self.registry.port}", f":{self.port}")
        if handler.command == "HEAD":
            kept["Content-Length"] = upstream.getheader("Content-Length") or "0"
        if fault == "flip" and content and upstream.status < 300:
            content = bytearray(content)
            content[int(level * len(content))] ^= 0x40
        if fault == "short_manifest" and "/manifests/" in handler.path:
            content = content[:int(level * len(content))]
        cut = int(level * len(content)) if fault in ("cut", "stall") else None
        return self.answer(handler, upstream.status, bytes(content), kept, cut, fault == "stall")

    def answer(self, handler, status, content, headers=None, cut=None, stall=False):
        handler.send_response(status)
        headers = dict(headers or {})
        headers.setdefault("Content-Length", str(len(content)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        whole = content if cut is None else content[:cut]
        for i in range(0, len(whole), 65536):
            handler.wfile.write(whole[i:i + 65536])
            if self.delay:
                time.sleep(self.delay)
        if cut is not None:
            handler.wfile.flush()
            if stall:
                time.sleep(3)
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)


def store_problems(home):
    """Blobs whose content is not what their name says."""
    problems = []
    blobs = pathlib.Path(home) / "models" / "blobs"
    for path in blobs.glob("sha256-*") if blobs.exists() else []:
        if "partial" in path.name:
            continue
        if "sha256-" + hashlib.sha256(path.read_bytes()).hexdigest() != path.name:
            problems.append(path.name)
    return problems


def environment(home, **more):
    clean = {name: value for name, value in os.environ.items()
             if not name.lower().endswith("_proxy") and not name.startswith("LLMRUN_REGISTRY")}
    return {**clean, "LLMRUN_HOME": str(home), "OLLAMA_MODELS": str(home) + "/no-ollama",
            "LC_ALL": "C.UTF-8", **more}
