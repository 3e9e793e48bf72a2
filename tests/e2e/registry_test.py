#!/usr/bin/env python3
"""Models by name against a real registry: push, pull, kill, resume, cp, rm, verify, prune, chaos.

    registry_test.py LLMRUN TINY_CHAT_MODEL [RUNS]
"""
import json
import os
import pathlib
import pty
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import registry_fixture as fixture

LLMRUN, MODEL = sys.argv[1:3]
RUNS = int(sys.argv[3]) if len(sys.argv) > 3 else 12
TIMEOUT = 240
TINY = pathlib.Path(MODEL).read_bytes()
# A blob of three parts (16 MB each at most) that no compression makes small.
LARGE = random.Random(7).randbytes(40_000_000)


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.registry = fixture.Registry()
        cls.proxy = fixture.Proxy(cls.registry)
        cls.registry.put_model("library/tiny", "1b", [
            ("model", TINY), ("params", b'{"temperature":0.25,"stop":["<x>"]}'),
            ("system", b"Be brief."), ("license", b"MIT"), ("license", b"Apache")])
        cls.registry.put_model("library/large", "latest", [("model", LARGE), ("license", b"MIT")])

    @classmethod
    def tearDownClass(cls):
        cls.proxy.stop()
        cls.registry.stop()

    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="llmrun-store-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.proxy.chaos = fixture.Chaos()
        self.proxy.delay = 0.0
        self.proxy.seen.clear()

    def name(self, model):
        return f"127.0.0.1:{self.proxy.port}/library/{model}"

    def start(self, *arguments, **more):
        return subprocess.Popen([LLMRUN, *arguments], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=fixture.environment(self.home, **more))

    def run_llmrun(self, *arguments, check=0, **more):
        process = self.start(*arguments, **more)
        out, err = process.communicate(timeout=TIMEOUT)
        if check is not None:
            self.assertEqual(process.returncode, check, f"{arguments}\n{out}\n{err}")
        self.assertLess(process.returncode, 132, err)
        self.assertGreaterEqual(process.returncode, 0, err)
        return process.returncode, out, err

    def blob(self, content):
        return self.home / "models/blobs" / fixture.digest(content).replace(":", "-")


class Cycle(Base):
    def test_pull_list_run_cp_push_rm(self):
        self.run_llmrun("pull", self.name("tiny:1b"))
        self.assertEqual(self.blob(TINY).read_bytes(), TINY)
        listed = json.loads(self.run_llmrun("list", "--json")[1])["models"]
        self.assertEqual([model["name"] for model in listed], [self.name("tiny:1b")])
        answer = self.run_llmrun("run", self.name("tiny:1b"), "hello", "--max-tokens", "4",
                                 "--seed", "1")[1]
        self.assertNotEqual(answer, "")
        copy = f"127.0.0.1:{self.proxy.port}/me/copy:v2"
        self.run_llmrun("cp", self.name("tiny:1b"), copy)
        self.run_llmrun("push", copy)
        manifest, text = self.registry.get_manifest("me/copy", "v2")
        self.assertEqual(manifest.status, 200)
        self.assertEqual(text, self.registry.get_manifest("library/tiny", "1b")[1])
        methods = [(method, path) for _, method, path, _ in self.proxy.seen]
        self.assertTrue(any(m == "POST" and "mount=" in p for m, p in methods), methods)
        # The first of two names frees nothing, the second everything.
        self.assertIn(" 0 B freed", self.run_llmrun("rm", self.name("tiny:1b"))[1])
        self.assertTrue(self.blob(TINY).exists())
        self.run_llmrun("rm", copy)
        self.assertFalse(self.blob(TINY).exists())
        self.assertEqual(list((self.home / "models/blobs").iterdir()), [])
        self.run_llmrun("rm", copy, check=3)

    def test_run_asks_before_it_downloads(self):
        err = self.run_llmrun("run", self.name("tiny:1b"), "hello", check=2)[2]
        self.assertIn("--yes", err)
        self.assertIn("of memory", err)
        for answer, code in ((b"n\n", 130), (b"y\n", 0)):
            master, slave = pty.openpty()
            process = subprocess.Popen(
                [LLMRUN, "run", self.name("tiny:1b"), "hello", "--max-tokens", "2"], stdin=slave,
                stdout=subprocess.PIPE, stderr=slave, env=fixture.environment(self.home))
            os.close(slave)
            seen = b""
            while b"[y/N]" not in seen:
                seen += os.read(master, 4096)
            os.write(master, answer)
            while process.poll() is None:
                try:
                    os.read(master, 4096)
                except OSError:
                    break
            self.assertEqual(process.wait(TIMEOUT), code, seen)
            process.stdout.close()
            os.close(master)
            self.assertEqual(self.blob(TINY).exists(), code == 0)
        self.run_llmrun("rm", self.name("tiny:1b"))
        self.run_llmrun("run", self.name("tiny:1b"), "hello", "--max-tokens", "2", "--yes")

    def test_push_of_an_imported_file(self):
        source = self.home / "my.gguf"
        source.write_bytes(LARGE.replace(LARGE[:4], b"GGUF", 1))
        name = f"127.0.0.1:{self.proxy.port}/me/mine"
        self.run_llmrun("import", str(source), name)
        blob = next(path for path in (self.home / "models/blobs").iterdir()
                    if path.stat().st_size == len(LARGE))
        self.assertTrue(blob.is_symlink() or blob.stat().st_nlink > 1 or
                        blob.stat().st_ino != source.stat().st_ino)
        self.run_llmrun("push", name)
        content = json.loads(self.registry.get_manifest("me/mine", "latest")[1])
        self.assertEqual(content["layers"][0]["size"], len(LARGE))
        # What was linked stays when the model goes.
        self.run_llmrun("rm", name)
        self.assertEqual(source.stat().st_size, len(LARGE))
        self.run_llmrun("pull", name)
        self.assertEqual(blob.read_bytes(), source.read_bytes())
        self.run_llmrun("import", str(self.home / "none.gguf"), "x", check=3)
        junk = self.home / "junk.gguf"
        junk.write_bytes(b"not a model")
        self.run_llmrun("import", str(junk), "x", check=4)

    def test_killed_pull_goes_on(self):
        self.proxy.delay = 0.02  # about a second and a half for each connection's first part
        process = self.start("pull", self.name("large"))
        partial = pathlib.Path(str(self.blob(LARGE)) + "-partial")
        deadline = time.time() + 60
        while time.time() < deadline:
            done = sum(json.loads(p.read_text())["Completed"]
                       for p in partial.parent.glob(partial.name + "-*")) if partial.exists() else 0
            if done > 2_000_000:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.assertGreater(done, 2_000_000, "the kill came too early to test anything")
        self.assertEqual(json.loads(self.run_llmrun("list", "--json")[1])["models"], [])
        self.proxy.delay = 0.0
        self.proxy.seen.clear()
        self.run_llmrun("pull", self.name("large"))
        self.assertEqual(self.blob(LARGE).read_bytes(), LARGE)
        first_bytes = [int(headers["range"].split("=")[1].split("-")[0])
                       for _, _, path, headers in self.proxy.seen
                       if "range" in headers and fixture.digest(LARGE) in path]
        self.assertTrue(all(first > 0 for first in first_bytes), "the front came twice")
        self.assertEqual([p.name for p in partial.parent.glob("*partial*")], [])

    def test_ctrl_c_keeps_what_came(self):
        self.proxy.delay = 0.02
        process = self.start("pull", self.name("large"))
        partial = pathlib.Path(str(self.blob(LARGE)) + "-partial")
        deadline = time.time() + 60
        while not partial.exists() and time.time() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130)
        done = sum(json.loads(p.read_text())["Completed"]
                   for p in partial.parent.glob(partial.name + "-*"))
        self.assertGreater(done, 0)

    def test_two_pulls_share_one_download(self):
        self.proxy.delay = 0.005
        first = self.start("pull", self.name("large"))
        second = self.start("pull", self.name("large"))
        for process in (first, second):
            _, err = process.communicate(timeout=TIMEOUT)
            self.assertEqual(process.returncode, 0, err)
        asked = [headers["range"] for _, _, path, headers in self.proxy.seen
                 if "range" in headers and fixture.digest(LARGE) in path]
        self.assertEqual(len(asked), len(set(asked)), "the same range was asked for twice")

    def test_verify_mends_the_bad_block_alone(self):
        self.run_llmrun("pull", self.name("large"))
        path = self.blob(LARGE)
        damaged = bytearray(LARGE)
        damaged[20_000_000] ^= 1
        path.write_bytes(damaged)
        code, out, _ = self.run_llmrun("verify", "--no-repair", check=4)
        self.assertIn("damaged", out)
        self.proxy.seen.clear()
        code, out, _ = self.run_llmrun("verify")
        self.assertIn("16.8 MB of 40.0 MB were fetched again", out)
        self.assertEqual(path.read_bytes(), LARGE)
        path.unlink()
        self.assertIn("is good again", self.run_llmrun("verify", self.name("large"))[1])
        self.assertEqual(path.read_bytes(), LARGE)

    def test_verify_reads_a_shared_blob_once(self):
        self.run_llmrun("pull", self.name("large"))
        self.run_llmrun("cp", self.name("large"), "second")
        _, out, err = self.run_llmrun("verify")
        self.assertEqual(out.count("is good"), 2)
        what = f"verifying {fixture.digest(LARGE)[7:19]}"
        self.assertEqual(sum(line.startswith(what) and "100%" in line
                             for line in err.splitlines()), 1, err)
        self.blob(LARGE).unlink()
        out = self.run_llmrun("verify", "--offline", check=4)[1]
        self.assertEqual(out.count("is missing"), 2, "what is bad is told of each")

    def test_verify_leaves_what_is_linked_to(self):
        self.run_llmrun("pull", self.name("tiny:1b"))
        elsewhere = self.home / "elsewhere"
        elsewhere.write_bytes(TINY[:-1] + b"?")
        self.blob(TINY).unlink()
        self.blob(TINY).symlink_to(elsewhere)
        self.run_llmrun("verify")
        self.assertEqual(elsewhere.read_bytes(), TINY[:-1] + b"?")
        self.assertEqual(self.blob(TINY).read_bytes(), TINY)
        self.assertFalse(self.blob(TINY).is_symlink())

    def test_prune_shows_and_asks(self):
        self.run_llmrun("pull", self.name("tiny:1b"))
        orphan = self.home / "models/blobs" / ("sha256-" + "0" * 64)
        orphan.write_bytes(bytes(5000))
        code, out, err = self.run_llmrun("prune", check=2)
        self.assertIn(orphan.name, out)
        self.assertIn("--yes", err)
        self.assertTrue(orphan.exists())
        self.run_llmrun("prune", "--yes")
        self.assertFalse(orphan.exists())
        self.assertTrue(self.blob(TINY).exists())
        # Behind a link nothing is deleted.
        real = self.home / "real"
        (self.home / "models/blobs").rename(real)
        (self.home / "models/blobs").symlink_to(real)
        (real / orphan.name).write_bytes(b"x")
        self.run_llmrun("prune", "--yes", check=2)
        self.run_llmrun("rm", self.name("tiny:1b"), check=2)
        self.assertTrue((real / orphan.name).exists())

    def test_a_mirror_stands_in_for_the_default_registry(self):
        self.run_llmrun("pull", "tiny:1b", LLMRUN_REGISTRY=f"http://127.0.0.1:{self.proxy.port}")
        self.assertTrue((self.home / "models/manifests/registry.ollama.ai/library/tiny/1b").exists())


class PullAgain(Base):
    """A pull of what is here fetches what has changed, and only that."""

    def asked(self, content):
        return [path for _, _, path, _ in self.proxy.seen if fixture.digest(content) in path]

    def put(self, system):
        self.registry.put_model("library/moving", "latest", [("model", LARGE), ("system", system)])

    def test_only_what_differs_is_fetched(self):
        self.put(b"Be brief.")
        name = self.name("moving")
        self.run_llmrun("pull", name)
        self.proxy.seen.clear()
        self.run_llmrun("pull", name)
        self.assertEqual([path for _, _, path, _ in self.proxy.seen if "/blobs/" in path][1:], [],
                         "the same manifest needs its config alone")
        self.assertIn("no newer", self.run_llmrun("pull", name)[2])
        self.put(b"Be long.")
        self.proxy.seen.clear()
        err = self.run_llmrun("pull", name)[2]
        self.assertIn("has changed", err)
        self.assertEqual(self.asked(LARGE), [])
        self.assertTrue(self.asked(b"Be long."))
        manifest = self.home / f"models/manifests/127.0.0.1:{self.proxy.port}/library/moving/latest"
        self.assertEqual(manifest.read_bytes(),
                         self.registry.get_manifest("library/moving", "latest")[1])
        self.run_llmrun("prune", "--yes")
        self.assertFalse(self.blob(b"Be brief.").exists())
        self.assertTrue(self.blob(LARGE).exists())

    def test_what_no_server_has_stays(self):
        self.run_llmrun("import", MODEL, self.name("unsent"))
        err = self.run_llmrun("pull", self.name("unsent"))[2]
        self.assertIn("stays as it is", err)
        self.run_llmrun("import", MODEL, "127.0.0.1:1/me/nowhere")
        err = self.run_llmrun("pull", "127.0.0.1:1/me/nowhere", "--tries", "1", check=6)[2]
        self.assertIn("can be used as it is", err)
        self.run_llmrun("pull", "127.0.0.1:1/me/nowhere", "--offline")

    def test_the_same_model_in_ollamas_store_is_as_good(self):
        self.put(b"Be brief.")
        self.run_llmrun("pull", self.name("moving"))
        (self.home / "models").rename(self.home / "no-ollama")
        self.proxy.seen.clear()
        path = self.run_llmrun("pull", "--print-path", self.name("moving"))[1]
        self.assertIn("no-ollama", path)
        self.assertFalse((self.home / "models").exists())
        self.put(b"Be long.")
        self.run_llmrun("pull", self.name("moving"))
        self.assertEqual(self.asked(LARGE), [], "linked from Ollama's store")
        self.assertEqual(self.blob(LARGE).read_bytes(), LARGE)


class BeforeTheDownload(Base):
    """Every command that takes a model fetches it by the same rule."""

    def commands(self, name):
        text = self.home / "text"
        text.write_text("hello hello hello hello hello hello hello hello hello")
        rows = self.home / "rows.txt"
        rows.write_text("hello\n")
        case = self.home / "case.json"
        case.write_text('{"messages":[{"role":"user","content":"hi"}]}')
        modelfile = self.home / "Modelfile"
        modelfile.write_text(f"FROM {name}\n")
        out = str(self.home / "out")
        return [("run", name, "hello", "-n", "2"), ("embed", name, "hello"),
                ("rerank", name, "-q", "a", "b"), ("tokenize", name, "hello"),
                ("detokenize", name, "1", "2"), ("bench", name, "-p", "4", "-n", "2", "-r", "1"),
                ("template", "-m", name, "--input", str(case)),
                ("perplexity", name, "--file", str(text), "--ctx", "8"),
                ("logits", name, "--prompt", "hello", "-o", out + ".npy"), ("doctor", name),
                ("compare", name, name, "--file", str(text), "--ctx", "8", "--prompt", "0",
                 "--decode", "0"),
                ("quantize", name, out + ".gguf", "Q8_0", "--dry-run"),
                ("importance", name, "--file", str(text), "-o", out + ".gguf", "--ctx", "8"),
                ("batch", str(rows), "-o", out + ".jsonl", "-m", name, "-n", "2"),
                ("create", "mine", "-f", str(modelfile))]

    def test_one_rule_for_all_commands(self):
        name = self.name("tiny:1b")
        for command in self.commands(name):
            err = self.run_llmrun(*command, check=2)[2]
            self.assertIn("--yes", err, command)
            self.assertIn("is not on this machine", err, command)
            self.assertFalse(self.blob(TINY).exists(), command)
            self.proxy.seen.clear()
            for arguments, more in (((*command, "--offline"), {}),
                                    (command, {"HF_HUB_OFFLINE": "1"})):
                err = self.run_llmrun(*arguments, check=3, **more)[2]
                self.assertIn("network is not asked", err, arguments)
            self.assertEqual(self.proxy.seen, [], command)
        # Some of them cannot use a model of this kind; all of them have it afterwards.
        for command in self.commands(name):
            self.run_llmrun(*command, "--yes", check=None)
            self.assertTrue(self.blob(TINY).exists(), command)
            self.run_llmrun("rm", name)
            if command[0] == "create":
                self.run_llmrun("rm", "mine")
            self.assertFalse(self.blob(TINY).exists(), command)

    def test_offline_holds_for_what_sends_and_mends(self):
        name = self.name("tiny:1b")
        self.run_llmrun("pull", name)
        self.proxy.seen.clear()
        self.assertIn("switched off", self.run_llmrun("push", name, "--offline", check=6)[2])
        self.blob(TINY).unlink()
        out = self.run_llmrun("verify", name, check=4, LLMRUN_OFFLINE="1")[1]
        self.assertIn("switched off", out)
        self.assertEqual(self.proxy.seen, [])

    def test_estimate_and_show_read_the_header_alone(self):
        name = self.name("tiny:1b")
        here = json.loads(self.run_llmrun("estimate", MODEL, "--json")[1])
        plan = json.loads(self.run_llmrun("estimate", name, "--json")[1])
        self.assertFalse(plan["on_this_machine"])
        self.assertEqual(plan["download_bytes"], len(TINY))
        self.assertAlmostEqual(plan["total_bytes"], here["total_bytes"], delta=16_000)
        shown = json.loads(self.run_llmrun("show", name, "--json")[1])
        self.assertFalse(shown["on_this_machine"])
        self.assertEqual((shown["file"], shown["architecture"]), (name, "llama"))
        self.assertIn("is not on this machine", self.run_llmrun("show", name)[1])
        self.assertNotIn("is not on this machine", self.run_llmrun("show", name, "--tensors")[1])
        err = self.run_llmrun("show", name, "--system", check=3)[2]
        self.assertIn("llmrun pull", err)
        self.run_llmrun("show", self.name("none"), check=3)
        self.assertFalse((self.home / "models").exists())
        # A large file behind its header: less than it was asked for.
        name = self.name("padded")
        self.registry.put_model("library/padded", "latest", [("model", TINY + bytes(30_000_000))])
        plan = json.loads(self.run_llmrun("estimate", name, "--json")[1])
        self.assertEqual(plan["download_bytes"], len(TINY) + 30_000_000)
        self.assertLess(plan["header_bytes"], 2_000_000)

    def test_list_tells_the_size_of_all_layers(self):
        self.run_llmrun("pull", self.name("tiny:1b"))
        manifest = json.loads(self.registry.get_manifest("library/tiny", "1b")[1])
        total = manifest["config"]["size"] + sum(layer["size"] for layer in manifest["layers"])
        model = json.loads(self.run_llmrun("list", "--json")[1])["models"][0]
        self.assertEqual((model["bytes"], model["file_bytes"]), (total, len(TINY)))


class Login(Base):
    """A registry that wants a user name and a password takes those of `docker login`."""

    def test_basic_login(self):
        registry = fixture.Registry(login="me:secret")
        self.addCleanup(registry.stop)
        registry.put_model("library/private", "latest", [("model", TINY)])
        name = f"127.0.0.1:{registry.port}/library/private"
        folder = self.home / "docker"
        folder.mkdir()
        logins = folder / "config.json"

        def pull(check):
            return self.run_llmrun("pull", name, check=check, DOCKER_CONFIG=str(folder))[2]

        self.assertIn("docker login", pull(6))
        for junk in ("", "[]", '{"auths":7}', '{"auths":{"127.0.0.1:%d":{"auth":"a\\nb"}}}' %
                     registry.port, '{"auths":{"other:5000":{"auth":"bWU6c2VjcmV0"}}}'):
            logins.write_text(junk)
            self.assertIn("docker login", pull(6), junk)
        key = f"http://127.0.0.1:{registry.port}/v1/"
        logins.write_text(json.dumps({"auths": {key: {"auth": "bWU6d3Jvbmc="}}}))
        self.assertIn("401", pull(6))
        logins.write_text(json.dumps({"auths": {key: {"auth": "bWU6c2VjcmV0"}}}))
        pull(0)
        self.assertEqual(self.blob(TINY).read_bytes(), TINY)
        copy = f"127.0.0.1:{registry.port}/me/copy"
        self.run_llmrun("cp", name, copy)
        self.run_llmrun("push", copy, DOCKER_CONFIG=str(folder))
        self.assertEqual(registry.get_manifest("me/copy", "latest")[0].status, 200)


class Hostile(Base):
    def pull_manifest(self, text, check):
        answer, said = self.registry.request(
            "PUT", "/v2/library/evil/manifests/latest", text, {"Content-Type": fixture.MANIFEST})
        self.assertEqual(answer.status, 201, said)
        return self.run_llmrun("pull", self.name("evil"), check=check)[2]

    def test_wrong_types_are_refused(self):
        self.registry.put_model("library/evil", "latest", [("model", TINY)])
        good = json.loads(self.registry.get_manifest("library/evil", "latest")[1])
        image = json.loads(json.dumps(good))
        image["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
        self.assertIn("container image", self.pull_manifest(json.dumps(image), 4))
        self.registry.put_model("library/evil", "cloud", [("license", b"x")],
                                b'{"remote_host":"https://ollama.com"}')
        self.assertIn("https://ollama.com", self.run_llmrun("pull", self.name("evil:cloud"), check=4)[2])
        self.registry.put_model("library/evil", "mlx", [("tensor", b"x"), ("json", b"{}")],
                                b'{"model_format":"safetensors"}')
        self.assertIn("safetensors", self.run_llmrun("pull", self.name("evil:mlx"), check=4)[2])
        self.assertFalse((self.home / "models/blobs").exists())

    def test_names_that_lead_out_are_refused(self):
        for name in ("../../etc/passwd:x", "a/../b", "127.0.0.1:1/..//x", "host/ns/m:../t"):
            code, _, err = self.run_llmrun("pull", name, check=None)
            self.assertIn(code, (2, 3), (name, err))

    def test_no_secret_goes_to_another_host(self):
        self.proxy.chaos = fixture.Chaos(1, ("away",), 1.0)
        self.run_llmrun("pull", self.name("tiny:1b"), LLMRUN_REGISTRY_TOKEN="secret")
        hosts = {host for host, _, _, _ in self.proxy.seen}
        self.assertEqual(hosts, {"127.0.0.1", "localhost"})
        for host, _, path, headers in self.proxy.seen:
            self.assertEqual("authorization" in headers, host == "127.0.0.1", path)


class ChaosRuns(Base):
    """Every run ends complete or with a clear error, and the next quiet one finishes."""

    def test_random_faults(self):
        seed = int(os.environ.get("LLMRUN_CHAOS_SEED", "1"))
        n_complete = 0
        for run in range(RUNS):
            generator = random.Random(seed * 1000 + run)
            faults = generator.sample(fixture.Chaos.FAULTS[1:], generator.randint(1, 4))
            share = generator.choice((0.1, 0.3, 0.6, 0.95))
            home = self.home / str(run)
            self.home, parent = home, self.home
            self.proxy.chaos = fixture.Chaos(generator.random(), faults, share)
            started = time.time()
            code, out, err = self.run_llmrun("pull", self.name("large"), "--stall", "1", "--tries", "3",
                                             check=None)
            what = f"run {run} {faults} {share}: exit {code}\n{err}"
            self.assertIn(code, (0, 3, 4, 6), what)
            if code != 0:
                self.assertEqual(err.count("llmrun: error:"), 1, what)
            self.assertEqual(fixture.store_problems(home), [], what)
            n_complete += code == 0
            self.proxy.chaos = fixture.Chaos()
            self.run_llmrun("pull", self.name("large"))
            self.assertEqual(self.blob(LARGE).read_bytes(), LARGE, what)
            self.assertEqual(fixture.store_problems(home), [], what)
            print(f"run {run}: {'+'.join(faults)} {share}: exit {code}, "
                  f"{time.time() - started:.1f} s", flush=True)
            shutil.rmtree(home)
            self.home = parent
        print(f"{n_complete} of {RUNS} runs were complete at once")


if __name__ == "__main__":
    if fixture.registry_program() is None:
        print("skipped: Debian's docker-registry is not installed")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
