#!/usr/bin/env python3
"""The life of a model, from the search to the registry, against servers on this machine: search,
estimate, pull, kill, resume, run, list, show, import, create, cp, push, verify, rm, pull again.

    store_cycle.py LLMRUN TINY_CHAT_MODEL

A fake Hugging Face hub gives the model; Debian's docker-registry takes it. Skipped, by name, where
there is no docker-registry.
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
import registry_fixture

LLMRUN, MODEL = sys.argv[1:3]
TIMEOUT = 120
# A tail that no tensor lies in makes the file large enough to be killed half-way.
CONTENT = pathlib.Path(MODEL).read_bytes() + os.urandom(40_000_000)
NAME = "hf:someone/Tiny-GGUF:Q8_0"
CLEARED = ("HF_", "HUGGINGFACE", "LLAMA_", "LLMRUN_", "OLLAMA_", "XDG_", "MODEL_ENDPOINT")
ASK = ("Hello", "-n", "12", "--seed", "3")


@unittest.skipUnless(registry_fixture.registry_program(), "skipped: no docker-registry")
class Cycle(unittest.TestCase):
    def setUp(self):
        self.hub = fake_hub.FakeHub({"someone/Tiny-GGUF": {"tiny-Q8_0.gguf": CONTENT}})
        self.registry = registry_fixture.Registry()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="llmrun-cycle-"))
        self.blobs = self.home / ".cache/huggingface/hub/models--someone--Tiny-GGUF/blobs"

    def tearDown(self):
        self.registry.stop()
        self.hub.close()
        shutil.rmtree(self.home)

    def environment(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(CLEARED)}
        return {**kept, "HOME": str(self.home), "HF_ENDPOINT": self.hub.url, "LC_ALL": "C.UTF-8"}

    def llmrun(self, *arguments, code=0):
        result = subprocess.run([LLMRUN, *arguments], capture_output=True, text=True,
                                timeout=TIMEOUT, env=self.environment(), stdin=subprocess.DEVNULL)
        self.assertEqual(result.returncode, code, f"{arguments}\n{result.stdout}{result.stderr}")
        return result.stdout

    def names(self):
        return {model["name"] for model in json.loads(self.llmrun("list", "--json"))["models"]}

    def kill_a_pull_half_way(self):
        process = subprocess.Popen([LLMRUN, "pull", NAME], env=self.environment(),
                                   stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        end = time.time() + 60
        while time.time() < end and process.poll() is None:
            if self.blobs.exists() and any("partial" in p.name for p in self.blobs.iterdir()):
                break
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertNotIn(NAME, self.names(), "a cut download is no model")

    def test_whole_life(self):
        self.assertIn("hf:someone/Tiny-GGUF", self.llmrun("search", "tiny", "gguf"))
        plan = json.loads(self.llmrun("estimate", NAME, "--json"))
        self.assertTrue(plan["fits"])
        self.assertLess(plan["header_bytes"], 2_000_000)
        self.assertFalse(self.blobs.exists(), "an estimate fetches no model")

        self.kill_a_pull_half_way()
        self.llmrun("pull", NAME)
        self.assertEqual([p.name for p in self.blobs.iterdir()],
                         [hashlib.sha256(CONTENT).hexdigest()])
        answer = self.llmrun("run", NAME, *ASK)
        self.assertEqual(answer, self.llmrun("run", MODEL, *ASK))
        self.assertIn(NAME, self.names())
        self.assertIn("Tiny chat", self.llmrun("show", NAME))

        self.llmrun("import", self.llmrun("pull", "--print-path", NAME).strip(), "mine:1")
        modelfile = self.home / "Modelfile"
        modelfile.write_text("FROM mine:1\nSYSTEM You are short.\nPARAMETER temperature 0\n")
        self.llmrun("create", "brief:1", "-f", str(modelfile))
        self.assertTrue({"mine:1", "brief:1"} <= self.names())
        brief = self.llmrun("run", "brief:1", *ASK)

        remote = f"127.0.0.1:{self.registry.port}/me/brief:1"
        self.llmrun("cp", "brief:1", remote)
        self.llmrun("push", remote)
        self.llmrun("verify")
        self.llmrun("rm", "mine:1", "brief:1", remote)
        self.assertEqual(self.names(), {NAME}, "what lies in another tool's store stays")
        self.llmrun("pull", remote)
        self.assertEqual(self.llmrun("run", remote, *ASK), brief, "with its layers")
        self.assertIn("temperature", self.llmrun("show", "--modelfile", remote))
        self.llmrun("rm", remote)
        self.assertNotIn(remote, self.names())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=1)
