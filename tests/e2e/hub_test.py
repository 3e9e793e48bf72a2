#!/usr/bin/env python3
"""Models by name from a Hugging Face hub: estimate, pull, run, list, search against a fake hub with
a CDN under another host name; hostile answers; the cache as Hugging Face's own `hf` sees it.

    hub_test.py LLMRUN TINY_CHAT_MODEL

The last part needs the `hf` command of the PyPI package huggingface_hub: on PATH, or named by
LLMRUN_TEST_HF. It is skipped, by name, where there is none.
"""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import fake_hub
import gguf_parts

LLMRUN, MODEL = sys.argv[1:3]
TIMEOUT = 120
TINY = pathlib.Path(MODEL).read_bytes()
REPO = "someone/Tiny-GGUF"
CLEARED = ("HF_", "HUGGINGFACE", "LLAMA_", "LLMRUN_", "OLLAMA_", "XDG_", "MODEL_ENDPOINT")


def quantised(kind):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out.gguf"
        subprocess.run([LLMRUN, "quantize", MODEL, out, kind], check=True, timeout=TIMEOUT,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return out.read_bytes()


Q8, Q4 = quantised("Q8_0"), quantised("Q4_0")
PARTS = gguf_parts.split(TINY, 3)


def repository():
    files = {"README.md": b"# Tiny\n", "tiny-Q4_0.gguf": Q4, "tiny-Q8_0.gguf": Q8,
             "mmproj-tiny-Q8_0.gguf": b"GGUF no model"}
    for i, part in enumerate(PARTS):
        files[f"F32/tiny-F32-0000{i + 1}-of-00003.gguf"] = part
    return files


def components(plan, *but):
    return [item for item in plan["components"]
            if not item["component"].startswith(("tokenizer", *but))]


class HubTest(unittest.TestCase):
    def setUp(self):
        self.hub = fake_hub.FakeHub({REPO: repository(), "other/Small-Thing": {"a.gguf": TINY}})
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="llmrun-hub-"))
        self.cache = self.home / ".cache/huggingface/hub"
        self.folder = self.cache / "models--someone--Tiny-GGUF"
        self.more = {}

    def tearDown(self):
        self.hub.close()
        shutil.rmtree(self.home)

    def environment(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(CLEARED)}
        return {**kept, "HOME": str(self.home), "HF_ENDPOINT": self.hub.url, "LC_ALL": "C.UTF-8",
                **self.more}

    def llmrun(self, *arguments, code=0):
        result = subprocess.run([LLMRUN, *arguments], capture_output=True, text=True,
                                timeout=TIMEOUT, env=self.environment(), stdin=subprocess.DEVNULL)
        if code is not None:
            self.assertEqual(result.returncode, code, f"{arguments}\n{result.stdout}{result.stderr}")
        return result

    def pull(self, name, **options):
        return pathlib.Path(self.llmrun("pull", "--print-path", name, **options).stdout.strip())


class Pull(HubTest):
    def test_quant_choice_cache_layout_and_no_network_afterwards(self):
        path = self.pull(f"hf:{REPO}")  # no Q4_K_M there, so Q8_0
        self.assertEqual(path, self.folder / "snapshots" / fake_hub.COMMIT / "tiny-Q8_0.gguf")
        self.assertEqual(path.read_bytes(), Q8)
        digest = hashlib.sha256(Q8).hexdigest()
        self.assertEqual(os.readlink(path), f"../../blobs/{digest}")
        self.assertEqual((self.folder / "refs/main").read_text(), fake_hub.COMMIT)
        self.assertEqual(sorted(p.name for p in (self.folder / "blobs").iterdir()), [digest])
        self.hub.forget()
        self.more = {"HF_HUB_OFFLINE": "1"}
        self.assertEqual(self.pull(f"hf:{REPO}:q8_0"), path)
        self.assertTrue(self.llmrun("run", f"hf:{REPO}", "Hi", "-n", "4", "--seed", "1").stdout)
        listed = json.loads(self.llmrun("list", "--json").stdout)["models"]
        self.assertEqual([(m["name"], m["place"]) for m in listed],
                         [(f"hf:{REPO}:Q8_0", "Hugging Face")])
        self.assertEqual(self.hub.requests, [])

    def test_split_model_is_fetched_whole_and_runs(self):
        path = self.pull(f"hf:{REPO}:F32")
        self.assertEqual(path.name, "tiny-F32-00001-of-00003.gguf")
        for i, part in enumerate(PARTS):
            one = path.parent / f"tiny-F32-0000{i + 1}-of-00003.gguf"
            self.assertEqual(one.read_bytes(), part)
            self.assertTrue(os.readlink(one).startswith("../../../blobs/"))
        arguments = ("Hi", "-n", "8", "--seed", "1")
        self.assertEqual(self.llmrun("run", f"hf:{REPO}:F32", *arguments).stdout,
                         self.llmrun("run", MODEL, *arguments).stdout)

    def test_pages_of_the_tree_are_followed(self):
        self.hub.page_size = 2
        self.assertEqual(self.pull(f"hf:{REPO}:Q8_0").read_bytes(), Q8)
        self.assertGreater(len(self.hub.asked("127.0.0.1", "/tree/")), 2)

    def test_token_goes_to_the_hub_and_never_to_the_cdn(self):
        self.hub.token = "hf_" + "x" * 34
        refused = self.llmrun("pull", f"hf:{REPO}", code=3)
        self.assertIn("HF_TOKEN", refused.stderr)
        self.more = {"HF_TOKEN": self.hub.token}
        self.pull(f"hf:{REPO}")
        self.assertTrue(self.hub.asked("localhost"))
        for _, _, path, headers in self.hub.asked("localhost"):
            self.assertNotIn("authorization", headers, path)

    def test_token_is_read_from_the_file_that_hf_writes(self):
        self.hub.token = "hf_" + "y" * 34
        token = self.home / ".cache/huggingface/token"
        token.parent.mkdir(parents=True)
        token.write_text(self.hub.token + "\n")
        self.assertEqual(self.pull(f"hf:{REPO}").read_bytes(), Q8)

    def test_unknown_quant_lists_what_there_is(self):
        error = self.llmrun("pull", f"hf:{REPO}:Q3_K", code=3).stderr
        for name in (f"hf:{REPO}:Q4_0", f"hf:{REPO}:Q8_0", f"hf:{REPO}:F32"):
            self.assertIn(name, error)
        self.assertNotIn("mmproj", error)
        self.llmrun("pull", "hf:no-one/Nothing", code=3)

    def test_offline_is_obeyed(self):
        for more, arguments in (({"HF_HUB_OFFLINE": "1"}, ()), ({"LLMRUN_OFFLINE": "1"}, ())):
            self.more = more
            error = self.llmrun("pull", f"hf:{REPO}", *arguments, code=3).stderr
            self.assertIn("network is not asked", error)
        self.assertIn("network is not asked",
                      self.llmrun("pull", f"hf:{REPO}", "--offline", code=3).stderr)
        self.assertEqual(self.hub.requests, [])

    def test_pull_again_fetches_what_changed(self):
        old = self.pull(f"hf:{REPO}:Q8_0")
        self.hub.forget()
        self.assertEqual(self.pull(f"hf:{REPO}:Q8_0"), old)
        self.assertEqual(self.hub.asked("localhost"), [], "nothing has changed")
        self.hub.commit = "c" * 40
        new = self.pull(f"hf:{REPO}:Q8_0")
        self.assertEqual(self.hub.asked("localhost"), [], "another commit, the same file")
        self.assertIn("c" * 40, str(new))
        self.hub.commit = "d" * 40
        self.hub.files[REPO]["tiny-Q8_0.gguf"] = TINY
        self.assertEqual(self.pull(f"hf:{REPO}:q8_0").read_bytes(), TINY)
        self.assertEqual(old.read_bytes(), Q8, "what was there before stays")
        self.hub.close()
        error = self.llmrun("pull", f"hf:{REPO}:Q8_0", code=6).stderr
        self.assertIn("can be used as it is", error)
        self.hub = fake_hub.FakeHub({})

    def test_show_before_the_download(self):
        shown = json.loads(self.llmrun("show", f"hf:{REPO}:F32", "--json").stdout)
        self.assertFalse(shown["on_this_machine"])
        self.assertEqual(shown["files"], 3)
        self.assertEqual(shown["file"], f"hf:{REPO}:F32")
        self.assertFalse(self.cache.exists())

    def test_wrong_bytes_never_become_a_model(self):
        self.hub.damage = True
        self.llmrun("pull", f"hf:{REPO}", code=6)
        self.assertFalse((self.folder / "refs/main").exists())
        self.assertFalse((self.folder / "blobs" / hashlib.sha256(Q8).hexdigest()).exists())
        self.hub.damage = False
        self.assertEqual(self.pull(f"hf:{REPO}").read_bytes(), Q8)

    def test_a_file_cut_off_again_and_again_arrives(self):
        self.hub.cut_after = 100_000
        self.assertEqual(self.pull("hf:other/Small-Thing").read_bytes(), TINY)

    def test_killed_pull_goes_on_where_it_was(self):
        big = TINY + os.urandom(30_000_000)
        self.hub.files["a/Big"] = {"big.gguf": big}
        process = subprocess.Popen([LLMRUN, "pull", "hf:a/Big"], env=self.environment(),
                                   stderr=subprocess.DEVNULL)
        blobs = self.cache / "models--a--Big/blobs"
        end = time.time() + 30
        while time.time() < end and process.poll() is None:
            if blobs.exists() and any("partial" in p.name for p in blobs.iterdir()):
                break
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertFalse((self.cache / "models--a--Big/refs/main").exists())
        self.assertEqual(self.pull("hf:a/Big").read_bytes(), big)
        self.assertEqual(len(list(blobs.iterdir())), 1)


class Estimate(HubTest):
    def test_plan_before_the_download_is_the_plan_after_it(self):
        before = json.loads(self.llmrun("estimate", f"hf:{REPO}:Q8_0", "--json").stdout)
        self.assertFalse(before["on_this_machine"])
        self.assertEqual(before["download_bytes"], len(Q8))
        self.assertFalse(self.cache.exists())
        self.pull(f"hf:{REPO}:Q8_0")
        after = json.loads(self.llmrun("estimate", f"hf:{REPO}:Q8_0", "--json").stdout)
        self.assertTrue(after["on_this_machine"])
        self.assertEqual(components(before), components(after))
        # The tokenizer's share is measured while it is built, and differs by a few kB.
        self.assertAlmostEqual(before["total_bytes"], after["total_bytes"], delta=16_000)

    def test_only_the_header_of_a_large_file_is_read(self):
        self.hub.files["a/Big"] = {"big-Q8_0.gguf": TINY + bytes(40_000_000)}
        fake_hub.FakeHub.n_sent = 0
        self.llmrun("estimate", "hf:a/Big")
        self.assertLess(fake_hub.FakeHub.n_sent, 3_000_000)
        self.hub.ranges = False  # then it is hung up on
        report = json.loads(self.llmrun("estimate", "hf:a/Big", "--json").stdout)
        self.assertEqual(report["download_bytes"], len(TINY) + 40_000_000)
        self.assertLessEqual(report["header_bytes"], 1 << 20)

    def test_split_model_has_the_plan_of_the_whole(self):
        whole = json.loads(self.llmrun("estimate", MODEL, "--json").stdout)
        split = json.loads(self.llmrun("estimate", f"hf:{REPO}:F32", "--json").stdout)
        self.assertEqual(split["files"], 3)
        self.assertEqual(components(whole, "metadata"), components(split, "metadata"))

    def test_all_quants(self):
        report = json.loads(
            self.llmrun("estimate", f"hf:{REPO}", "--all-quants", "--json").stdout)
        rows = {row["quant"]: row for row in report["choices"]}
        self.assertEqual(set(rows), {"Q4_0", "Q8_0", "F32"})
        self.assertTrue(rows["Q8_0"]["exact"])
        self.assertEqual(rows["Q8_0"]["total_bytes"], report["total_bytes"])
        self.assertEqual(rows["F32"]["files"], 3)
        # The others are told from their sizes: a plan of their own says the same to a percent.
        for quant in ("Q4_0", "F32"):
            exact = json.loads(self.llmrun("estimate", f"hf:{REPO}:{quant}", "--json").stdout)
            ratio = rows[quant]["total_bytes"] / exact["total_bytes"]
            self.assertAlmostEqual(ratio, 1, delta=0.01, msg=quant)
        # The tokenizer's share is measured and differs by a few kB from run to run.
        limit = str(rows["Q8_0"]["total_bytes"] + 50_000)
        text = self.llmrun("estimate", f"hf:{REPO}", "--all-quants", "--fits", limit).stdout
        self.assertIn(f"largest that fits: hf:{REPO}:Q8_0", text)
        self.assertIn("only the header of", text)
        self.llmrun("estimate", MODEL, "--all-quants", code=2)

    def test_no_temporary_files_stay(self):
        folder = self.home / "tmp"
        folder.mkdir()
        self.more = {"TMPDIR": str(folder)}
        self.llmrun("estimate", f"hf:{REPO}:F32")
        self.llmrun("estimate", f"hf:{REPO}:Q3_K", code=3)
        self.hub.files[REPO]["tiny-Q2_K.gguf"] = b"<html>no model</html>" + bytes(100)
        self.llmrun("estimate", f"hf:{REPO}:Q2_K", code=4)
        self.assertEqual(list(folder.iterdir()), [])


class Address(HubTest):
    def test_gguf_at_an_address_is_estimated_fetched_and_kept(self):
        digest = hashlib.sha256(Q8).hexdigest()
        url = f"{self.hub.cdn_url}/some/my-tiny-Q8_0.gguf"
        self.hub._blob = lambda _: Q8
        self.assertIn("to download", self.llmrun("estimate", url).stdout)
        path = self.pull(url)
        self.assertEqual(path.name, f"sha256-{digest}")
        self.assertEqual(path.read_bytes(), Q8)
        self.hub.forget()
        self.assertEqual(self.pull(url), path)
        self.assertEqual({headers["range"] for _, _, _, headers in self.hub.requests},
                         {"bytes=0-0"}, "only whether it has changed is asked")
        self.hub.forget()
        listed = json.loads(self.llmrun("list", "--json").stdout)["models"]
        self.assertEqual(len(listed), 1)
        self.assertIn("/url/my-tiny-Q8_0:", listed[0]["name"])
        self.llmrun("run", listed[0]["name"], "Hi", "-n", "4")
        self.assertEqual(self.hub.requests, [])

    def test_another_file_at_the_address_is_fetched(self):
        url = f"{self.hub.cdn_url}/some/tiny.gguf"
        self.hub._blob = lambda _: Q8
        self.assertEqual(self.pull(url).read_bytes(), Q8)
        self.hub._blob = lambda _: Q4
        self.assertEqual(self.pull(url).read_bytes(), Q4)
        self.assertEqual(len(json.loads(self.llmrun("list", "--json").stdout)["models"]), 1)

    def test_a_page_is_no_model(self):
        self.hub._blob = lambda _: b"<!DOCTYPE html>" + bytes(1000)
        error = self.llmrun("pull", f"{self.hub.cdn_url}/m.gguf", code=4).stderr
        self.assertIn("web page", error)
        self.assertFalse((self.home / ".local/share/llmrun/models/blobs").exists())

    def test_addresses_of_parts_and_missing_files_are_refused(self):
        self.llmrun("pull", f"{self.hub.cdn_url}/m-00001-of-00002.gguf", code=4)
        self.hub._blob = lambda _: None
        self.llmrun("pull", f"{self.hub.cdn_url}/m.gguf", code=3)


class Search(HubTest):
    def test_words_find_repositories_and_what_is_here(self):
        found = json.loads(self.llmrun("search", "TINY", "gguf", "--json").stdout)
        self.assertEqual([hit["name"] for hit in found["hugging_face"]], [f"hf:{REPO}"])
        self.assertIn("registry.ollama.ai", found["not_searched"])
        self.pull(f"hf:{REPO}:Q4_0")
        text = self.llmrun("search", "tiny").stdout
        self.assertIn(f"hf:{REPO}:Q4_0", text)
        self.assertIn("on this machine: Hugging Face", text)
        self.assertIn("smollm2:135m", self.llmrun("search", "smollm").stdout)
        self.assertIn("Nothing found", self.llmrun("search", "qqqqqq").stdout)

    def test_offline_and_broken_networks_still_show_what_is_here(self):
        text = self.llmrun("search", "smollm", "--offline").stdout
        self.assertIn("smollm2:135m", text)
        self.assertEqual(self.hub.requests, [])
        self.hub.answers["/api/models"] = (400, {}, b"no")
        result = self.llmrun("search", "smollm", code=6)
        self.assertIn("smollm2:135m", result.stdout)

    def test_hits_that_are_no_names_are_left_out(self):
        body = json.dumps([{"id": "../../etc"}, {"id": "a/b\u001b[2J"}, {"id": 7}, [], None,
                           {"id": "u/r", "downloads": "many", "lastModified": {}}]).encode()
        self.hub.answers["/api/models"] = (200, {}, body)
        found = json.loads(self.llmrun("search", "x", "--json").stdout)["hugging_face"]
        self.assertEqual([(h["name"], h["downloads"]) for h in found], [("hf:u/r", 0)])


class Hostile(HubTest):
    """Whatever the hub says: an error with its kind, and nothing outside the cache."""

    def tree(self, value, headers=None, raw=None):
        path = f"/api/models/{REPO}/tree/{fake_hub.COMMIT}"
        body = raw if raw is not None else json.dumps(value).encode()
        self.hub.answers[path] = (200, headers or {}, body)

    def entry(self, path, **more):
        return {"type": "file", "path": path, "size": len(Q8),
                "lfs": {"oid": hashlib.sha256(Q8).hexdigest(), "size": len(Q8)}, **more}

    def pull_fails(self, *codes):
        result = self.llmrun("pull", f"hf:{REPO}", code=None)
        self.assertIn(result.returncode, codes, result.stderr)
        self.assertEqual(result.stderr.count("error:"), 1, result.stderr)
        self.assertLess(len(result.stderr), 4000)
        self.assertFalse((self.folder / "refs/main").exists())
        return result.stderr

    def test_strange_branches(self):
        refs = f"/api/models/{REPO}/refs"
        for body in (b"", b"[]", b"{}", b"<html>", b'{"branches":{}}', b'{"branches":[1,null]}',
                     b'{"branches":[{"name":"main","targetCommit":"../../../../tmp/x"}]}',
                     b'{"branches":[{"name":"main","targetCommit":7}]}', b"[" * 100_000):
            self.hub.answers[refs] = (200, {}, body)
            self.pull_fails(6)

    def test_strange_trees(self):
        for value in ({}, 7, None, "x"):
            self.tree(value)
            self.pull_fails(6)
        for value in ([], [1, None, "x", [], {}], [{"type": "file", "path": 5}],
                      [{"type": "directory", "path": "m.gguf"}]):
            self.tree(value)
            self.pull_fails(3)

    def test_paths_that_lead_away_are_no_models(self):
        for path in ("../m.gguf", "/tmp/m.gguf", "a/../../m.gguf", "a//m.gguf", "./m.gguf",
                     "a\\..\\m.gguf", "m\n.gguf", "m\u0000.gguf", ".gguf/../m.gguf"):
            self.tree([self.entry(path)])
            self.pull_fails(3)
        outside = [p for p in self.home.rglob("*.gguf")]
        self.assertEqual(outside, [])

    def test_digests_and_sizes_that_are_none(self):
        good = hashlib.sha256(Q8).hexdigest()
        for lfs in (None, {}, {"oid": "../x", "size": 5}, {"oid": good.upper(), "size": len(Q8)},
                    {"oid": good[:-1], "size": len(Q8)}, {"oid": 5}):
            self.tree([self.entry("tiny-Q8_0.gguf", lfs=lfs)])
            self.pull_fails(4)
        for size in (0, 1, len(Q8) + 1, 2**63, 2**64 - 1):
            self.tree([self.entry("tiny-Q8_0.gguf", lfs={"oid": good, "size": size})])
            self.pull_fails(1, 6)

    def test_pages_without_end_or_elsewhere(self):
        here = f"{self.hub.url}/api/models/{REPO}/tree/{fake_hub.COMMIT}?recursive=true"
        self.tree([], {"Link": f'<{here}>; rel="next"'})
        self.assertIn("no end", self.pull_fails(6))
        self.hub.token = "hf_" + "z" * 34
        self.more = {"HF_TOKEN": self.hub.token}
        self.tree([], {"Link": f'<{self.hub.cdn_url}/steal>; rel="next"'})
        self.assertIn("another host", self.pull_fails(6))
        self.tree([], {"Link": '<file:///etc/passwd>; rel="next"'})
        self.pull_fails(6)
        self.assertEqual(self.hub.asked("localhost"), [])

    def test_answers_that_are_huge(self):
        self.tree(None, raw=b"[" + b'{"type":"file"},' * 700_000 + b"{}]")
        self.pull_fails(6)

    def test_estimate_of_a_header_without_end(self):
        # A string that claims to reach far: refused at once, not fetched.
        data = (b"GGUF" + (3).to_bytes(4, "little") + (0).to_bytes(8, "little") +
                (1).to_bytes(8, "little") + (3).to_bytes(8, "little") + b"a.b" +
                (8).to_bytes(4, "little") + (2**40).to_bytes(8, "little"))
        self.hub.files["bad/Header"] = {"m.gguf": data + bytes(5_000_000)}
        fake_hub.FakeHub.n_sent = 0
        self.llmrun("estimate", "hf:bad/Header", code=4)
        self.assertLess(fake_hub.FakeHub.n_sent, 3_000_000)

    def test_links_in_the_cache_are_not_written_through(self):
        outside = self.home / "outside"
        outside.write_bytes(b"precious")
        digest = hashlib.sha256(Q8).hexdigest()
        (self.folder / "blobs").mkdir(parents=True)
        (self.folder / "blobs" / digest).symlink_to(outside)
        error = self.llmrun("pull", f"hf:{REPO}:Q8_0", code=1).stderr
        self.assertIn("should have", error)
        self.assertEqual(outside.read_bytes(), b"precious")
        (self.folder / "blobs" / digest).unlink()
        path = self.pull(f"hf:{REPO}:Q8_0")
        self.assertEqual(path.read_bytes(), Q8)
        # A file that stands where a link belongs gives way to it; what a link points to does not.
        path.unlink()
        path.symlink_to(outside)
        self.hub.files[REPO]["tiny-Q8_0.gguf"] = TINY
        self.hub.commit = "b" * 40
        self.llmrun("pull", f"hf:{REPO}:Q4_0")
        self.assertEqual(outside.read_bytes(), b"precious")


HF = os.environ.get("LLMRUN_TEST_HF") or shutil.which("hf")


@unittest.skipUnless(HF, "skipped: no `hf` command (PyPI huggingface_hub)")
class HuggingFacesOwnTool(HubTest):
    def hf(self, *arguments):
        result = subprocess.run([HF, *arguments], capture_output=True, text=True, timeout=TIMEOUT,
                                env={**self.environment(), "HF_HUB_DISABLE_XET": "1",
                                     "HF_HUB_DISABLE_TELEMETRY": "1"})
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def test_hf_uses_what_llmrun_fetched(self):
        path = self.pull(f"hf:{REPO}:Q8_0")
        self.hub.forget()
        out = self.hf("download", REPO, "tiny-Q8_0.gguf")
        self.assertIn(str(path), out)
        self.assertEqual(self.hub.asked("localhost"), [], "nothing is fetched again")
        self.more = {"HF_HUB_OFFLINE": "1"}
        self.assertIn(str(path), self.hf("download", REPO, "tiny-Q8_0.gguf"))

    def test_llmrun_uses_what_hf_fetched(self):
        self.hf("download", REPO, "--include", "*F32*")
        self.hf("download", REPO, "tiny-Q4_0.gguf")
        self.hub.forget()
        self.more = {"HF_HUB_OFFLINE": "1"}
        listed = json.loads(self.llmrun("list", "--json").stdout)["models"]
        self.assertEqual({m["name"] for m in listed}, {f"hf:{REPO}:F32", f"hf:{REPO}:Q4_0"})
        for name in (f"hf:{REPO}:F32", f"hf:{REPO}:Q4_0"):
            self.llmrun("run", name, "Hi", "-n", "4")
        self.assertEqual(self.hub.requests, [])

    def test_hf_lists_what_llmrun_fetched(self):
        self.pull(f"hf:{REPO}:Q8_0")
        self.pull(f"hf:{REPO}:F32")
        out = self.hf("cache", "list")
        self.assertIn(REPO, out)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=1)
