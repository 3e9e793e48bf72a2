#!/usr/bin/env python3
"""Runs `llmrun batch` as people do, kills it at random, fills the disk, and compares bytes.

    batch_test.py LLMRUN TINY_CHAT_MODEL FOLDER_OF_ENCODERS [TEST ...]
"""
import fcntl
import json
import os
import pathlib
import pty
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

from gguf_parts import with_tokenizer

LLMRUN, MODEL, ENCODERS = sys.argv[1:4]
BERT = os.path.join(ENCODERS, "bert.gguf")
ARCHS = pathlib.Path(ENCODERS).parent / "archs"
TIMEOUT = 120


def command(*arguments):
    return [LLMRUN, "batch", *map(str, arguments)]


def batch(*arguments, check=0, **options):
    result = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=TIMEOUT,
                            **options)
    if check is not None and result.returncode != check:
        raise AssertionError(f"{arguments}: exit {result.returncode}, not {check}\n{result.stderr}")
    return result


def line(custom_id, content, url="/v1/chat/completions", **body):
    if url == "/v1/chat/completions":
        body["messages"] = [{"role": "user", "content": content}]
    else:
        body["input" if "embeddings" in url else "prompt"] = content
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


def rows(path):
    return [json.loads(text) for text in pathlib.Path(path).read_text().splitlines()]


class InFolder(unittest.TestCase):
    def setUp(self):
        # In memory where there is such a place: a busy disk takes seconds to sync.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = tempfile.TemporaryDirectory(prefix="llmrun-batch-", dir=memory)
        self.path = pathlib.Path(self.folder.name)
        self.input, self.output = self.path / "in.jsonl", self.path / "out.jsonl"
        self.journal = self.path / "out.jsonl.journal"

    def tearDown(self):
        self.folder.cleanup()

    def write(self, *lines):
        self.input.write_text("\n".join(lines) + "\n")

    def write_many(self, n=40, tokens=300):
        """Rows of all kinds, long enough to be killed in the middle."""
        shared = "You are one of many. " * 10
        self.write(*[line(f"row-{i}", (shared if i % 4 else "") + f"Question {i}",
                          max_tokens=tokens + 7 * i, ignore_eos=True,
                          temperature=1.0 if i % 2 else 0) for i in range(n)])


class Answers(InFolder):
    def test_every_endpoint_answers_in_order(self):
        self.write(line("b", "Hello", max_tokens=5, model=MODEL),
                   line("v", ["the cat", "the dog"], "/v1/embeddings", model=BERT),
                   line("a", "Once", "/v1/completions", max_tokens=3, model=MODEL))
        batch(self.input, "-o", self.output)
        out = rows(self.output)
        self.assertEqual([row["custom_id"] for row in out], ["b", "v", "a"])
        bodies = [row["response"]["body"] for row in out]
        self.assertEqual([body["object"] for body in bodies],
                         ["chat.completion", "list", "text_completion"])
        self.assertEqual(bodies[0]["model"], MODEL)
        self.assertLessEqual(bodies[0]["usage"]["completion_tokens"], 5)
        self.assertEqual(len(bodies[1]["data"]), 2)
        self.assertFalse(self.journal.exists())
        embedded = subprocess.run([LLMRUN, "embed", BERT, "the dog"], capture_output=True, text=True)
        self.assertEqual(json.loads(embedded.stdout)["embedding"], bodies[1]["data"][1]["embedding"])

    def test_a_row_answers_as_run_does(self):
        self.write(*[line(f"r{i}", f"Number {i}", seed=i, max_tokens=20) for i in range(6)])
        batch(self.input, "-o", self.output, "-m", MODEL)
        for i, row in enumerate(rows(self.output)):
            alone = subprocess.run([LLMRUN, "run", MODEL, f"Number {i}", "--seed", str(i), "-n",
                                    "20", "--json"], stdin=subprocess.DEVNULL, capture_output=True,
                                   text=True, check=True)
            alone = json.loads(alone.stdout)
            body = row["response"]["body"]
            self.assertEqual(body["choices"][0]["message"]["content"], alone["text"])
            self.assertEqual(body["choices"][0]["stop_reason"], alone["stop_reason"])

    def test_neither_threads_nor_neighbours_change_a_byte(self):
        self.write_many(12, 20)
        expected = None
        for options in ([], ["-p", 1], ["-p", 5, "-t", 1, "-b", 16]):
            batch(self.input, "-o", self.output, "-m", MODEL, "--restart", *options)
            expected = expected or self.output.read_bytes()
            self.assertEqual(self.output.read_bytes(), expected, options)
        reversed_lines = self.input.read_text().splitlines()[::-1]
        self.write(*reversed_lines)
        batch(self.input, "-o", self.output, "-m", MODEL, "--restart")
        contents = lambda out: {row["custom_id"]: row["response"]["body"]["choices"] for row in out}
        self.assertEqual(contents(rows(self.output)),
                         contents(map(json.loads, expected.decode().splitlines())))

    def test_text_lines_and_folders(self):
        text = self.path / "q.txt"
        text.write_text("One\n\nTwo\n")
        batch(text, "-o", self.output, "-m", MODEL, "-n", 4, "--system", "Be short")
        self.assertEqual([row["custom_id"] for row in rows(self.output)], ["line-1", "line-3"])
        folder, answers = self.path / "texts", self.path / "answers"
        folder.mkdir()
        (folder / "x.txt").write_text("First")
        (folder / "y.txt").write_text("Second")
        batch(f"{folder}/", "-o", f"{answers}/", "-m", MODEL, "-n", 4, "--prompt-template",
              "Shorten: {text}")
        self.assertEqual(sorted(os.listdir(answers)), ["x.txt", "y.txt"])
        self.assertIn("there already", batch(folder, "-o", answers, "-m", MODEL, check=2).stderr)

    def test_json_statistics(self):
        self.write(line("a", "x", max_tokens=4, ignore_eos=True))
        stats = json.loads(batch(self.input, "-o", self.output, "-m", MODEL, "--json").stdout)
        self.assertEqual((stats["rows"], stats["rows_failed"], stats["answer_tokens"]), (1, 0, 4))
        again = json.loads(batch(self.input, "-o", self.output, "-m", MODEL, "--json").stdout)
        self.assertEqual((again["rows_from_earlier_runs"], again["steps"]), (1, 0))

    def test_dry_run_tells_tokens_and_writes_nothing(self):
        self.write_many(8, 20)
        plan = json.loads(batch(self.input, "-m", MODEL, "--dry-run", "--json").stdout)
        model = plan["models"][0]
        self.assertEqual((plan["rows"], model["rows"]), (8, 8))
        self.assertGreater(model["shared_tokens"], 200)
        self.assertEqual(model["max_answer_tokens"], sum(20 + 7 * i for i in range(8)))
        self.assertGreater(plan["max_seconds"], 0)
        self.assertIn("shared", batch(self.input, "-m", MODEL, "--dry-run").stdout)
        self.assertEqual(os.listdir(self.path), ["in.jsonl"])

    def test_estimate_tells_the_same(self):
        self.write_many(8, 20)
        estimate = lambda *arguments: subprocess.run(
            [LLMRUN, "estimate", "--batch", str(self.input), *arguments], capture_output=True,
            text=True, timeout=TIMEOUT)
        told = estimate(MODEL, "--json")
        self.assertEqual(told.returncode, 0, told.stderr)
        told = json.loads(told.stdout)
        plan = json.loads(batch(self.input, "-m", MODEL, "--dry-run", "--json").stdout)
        for name in ("rows", "prompt_tokens", "shared_tokens", "max_answer_tokens",
                     "context_tokens", "parallel"):
            self.assertEqual(told["models"][0][name], plan["models"][0][name], name)
        self.assertGreater(told["models"][0]["memory_bytes"], os.path.getsize(MODEL))
        self.assertGreater(told["max_seconds"], 0)
        self.assertIn("shared", estimate(MODEL).stdout)
        self.assertEqual(os.listdir(self.path), ["in.jsonl"])
        self.write("nonsense", line("a", "x"))
        told = json.loads(estimate(MODEL, "--json").stdout)
        self.assertEqual((told["rows"], told["bad_rows"], told["models"][0]["rows"]), (2, 1, 1))


class Faults(InFolder):
    def test_bad_lines_are_told_together_before_anything_runs(self):
        self.write(line("a", "x", max_tokens=2), line("b", "x", typo=1), "nonsense",
                   line("c", "x" * 5000), line("d", "x", "/v1/embeddings"))
        told = batch(self.input, "-o", self.output, "-m", MODEL, check=2).stderr
        for word in ("4 of 5", "line 2 (b)", "'typo'", "line 3", "JSON", "line 4 (c)", "1024",
                     "line 5 (d)", "vectors"):
            self.assertIn(word, told)
        self.assertEqual(os.listdir(self.path), ["in.jsonl"])
        batch(self.input, "-o", self.output, "-m", MODEL, "--keep-going")
        out = rows(self.output)
        self.assertEqual([row["error"] and row["error"]["code"] for row in out],
                         [None, "invalid_request", "invalid_request", "context_length_exceeded",
                          "unsupported"])
        self.assertEqual([row["custom_id"] for row in out], ["a", "b", None, "c", "d"])

    def test_models_that_are_not_there(self):
        self.write(line("a", "x"), line("b", "x", model="/no/such.gguf"))
        told = batch(self.input, "-o", self.output, check=2).stderr
        self.assertIn("no model is named", told)
        self.assertIn("/no/such.gguf", told)
        batch(self.input, "-o", self.output, "-m", "/no/such.gguf", check=3)

    def test_usage(self):
        self.write(line("a", "x"))
        for arguments, word in [((self.input, "-m", MODEL), "--output"),
                                ((self.path / "none", "-o", self.output, "-m", MODEL), None),
                                ((self.input, "-o", self.path, "-m", MODEL), "folder"),
                                ((self.input, "-o", self.output, "--prompt-template", "x"), "{text}")]:
            told = batch(*arguments, check=None)
            self.assertIn(told.returncode, (2, 3))
            self.assertIn(word or "none", told.stderr)

    def test_an_output_of_something_else_is_kept(self):
        self.write(line("a", "x", max_tokens=2))
        self.output.write_text("precious\n")
        self.assertIn("--restart", batch(self.input, "-o", self.output, "-m", MODEL, check=2).stderr)
        self.assertEqual(self.output.read_text(), "precious\n")
        batch(self.input, "-o", self.output, "-m", MODEL, "--restart")
        self.assertEqual(len(rows(self.output)), 1)


class Crashes(InFolder):
    def start(self, *arguments, **options):
        return subprocess.Popen(command(self.input, "-o", self.output, "-m", MODEL, *arguments),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)

    def undisturbed(self):
        start = time.monotonic()
        batch(self.input, "-o", self.output, "-m", MODEL)
        expected = self.output.read_bytes()
        self.output.unlink()
        return expected, time.monotonic() - start

    def start_and_wait_for(self, n_bytes, *arguments, **options):
        """A run whose journal has grown by so many bytes."""
        before = self.journal.stat().st_size if self.journal.exists() else 0
        process = self.start(*arguments, **options)
        while process.poll() is None:
            if self.journal.exists() and self.journal.stat().st_size >= before + n_bytes:
                break
            time.sleep(0.001)
        return process

    def test_twenty_kills_change_no_byte(self):
        self.write_many(40, 600)
        expected, seconds = self.undisturbed()
        draw = random.Random(11)
        kills = kills_in_the_middle = 0
        while kills < 20:
            process = self.start()
            try:
                process.wait(draw.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
                kills_in_the_middle += self.journal.exists()
            process.communicate()
            if process.returncode == 0:  # finished between the kills: once more from the beginning
                self.assertEqual(self.output.read_bytes(), expected)
                self.assertFalse(self.journal.exists())
                self.output.unlink()
        process = self.start()
        told = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 0, told)
        self.assertEqual(self.output.read_bytes(), expected)
        self.assertFalse(self.journal.exists())
        self.assertEqual([row["custom_id"] for row in rows(self.output)],
                         [f"row-{i}" for i in range(40)])
        self.assertGreater(kills_in_the_middle, 5)

    def test_a_kill_in_the_middle_loses_no_finished_row(self):
        self.write_many()
        expected, _ = self.undisturbed()
        process = self.start_and_wait_for(4000, "-p", "2")
        process.kill()
        process.communicate()
        n_done = sum(" done " in text for text in self.journal.read_text().splitlines()[:-1])
        self.assertGreater(n_done, 0)
        stats = json.loads(batch(self.input, "-o", self.output, "-m", MODEL, "--json").stdout)
        self.assertGreaterEqual(stats["rows_from_earlier_runs"], n_done)
        self.assertEqual(self.output.read_bytes(), expected)

    def test_a_damaged_journal_goes_on_from_its_good_part(self):
        self.write_many()
        expected, _ = self.undisturbed()
        process = self.start_and_wait_for(4000, "-p", "2")
        process.kill()
        process.communicate()
        whole = self.journal.read_bytes()
        for damaged in (whole[:-7], whole + b"\0" * 4096, whole[:1500] + b"?" + whole[1501:]):
            self.journal.write_bytes(damaged)
            batch(self.input, "-o", self.output, "-m", MODEL)
            self.assertEqual(self.output.read_bytes(), expected)
            self.output.unlink()

    def test_ctrl_c_keeps_what_was_written_and_says_how_to_go_on(self):
        self.write_many(4, 900)
        expected, _ = self.undisturbed()
        for wait in (0.05, 0.02, 0.01, 0.005, 0.03) * 4:
            process = self.start_and_wait_for(60)
            time.sleep(wait)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=TIMEOUT)
            if process.returncode == 130 and " part " in self.journal.read_text():
                break
            # It was done before, or had not drawn a token yet: once more from the beginning.
            self.output.unlink(missing_ok=True)
            self.journal.unlink(missing_ok=True)
        self.assertEqual(process.returncode, 130, told)
        self.assertIn("The same command goes on", told)
        self.assertIn(" part ", self.journal.read_text())
        records = [text.split() for text in self.journal.read_text().splitlines()]
        done = {int(record[2]) for record in records if record[1] == "done"}
        kept = sum(len(record) - 4 for record in records
                   if record[1] == "part" and int(record[2]) not in done)
        stats = json.loads(batch(self.input, "-o", self.output, "-m", MODEL, "--json").stdout)
        self.assertEqual(self.output.read_bytes(), expected)
        n_tokens = sum(row["response"]["body"]["usage"]["completion_tokens"]
                       for i, row in enumerate(rows(self.output)) if i not in done)
        self.assertEqual(stats["answer_tokens"] + kept, n_tokens)

    def test_another_input_or_other_options_are_named(self):
        self.write_many()
        process = self.start_and_wait_for(1500)
        process.kill()
        process.communicate()
        before = self.journal.read_bytes()
        told = batch(self.input, "-o", self.output, "-m", MODEL, "--temp", 0.3, check=2).stderr
        self.assertIn("temperature", told)
        self.assertIn("--restart", told)
        self.input.write_text(self.input.read_text() + line("more", "x") + "\n")
        told = batch(self.input, "-o", self.output, "-m", MODEL, check=2).stderr
        self.assertIn("input", told)
        self.assertEqual(self.journal.read_bytes()[:len(before) // 2], before[:len(before) // 2])
        self.input.unlink()
        batch(self.input, "-o", self.output, "-m", MODEL, check=3)
        self.assertTrue(self.journal.exists())

    def test_a_second_one_on_the_same_output_is_refused(self):
        self.write_many(40, 900)
        process = self.start_and_wait_for(60)
        told = batch(self.input, "-o", self.output, "-m", MODEL, check=2).stderr
        self.assertIn("another llmrun", told)
        process.kill()
        process.communicate()

    def test_a_full_disk_is_told_and_then_gone_on_with(self):
        self.write_many()
        expected, _ = self.undisturbed()
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
        told = batch(self.input, "-o", self.output, "-m", MODEL, "-p", 2, check=1,
                     preexec_fn=limit).stderr
        self.assertIn("cannot write", told)
        self.assertIn("same command", told)
        self.assertFalse(self.output.exists())
        stats = json.loads(batch(self.input, "-o", self.output, "-m", MODEL, "--json").stdout)
        self.assertGreater(stats["rows_from_earlier_runs"], 0)
        self.assertEqual(self.output.read_bytes(), expected)

    def test_a_disk_that_is_really_full(self):
        disk = self.path / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest(f"skipped: no small disk can be made here ({mounted.stderr.strip()})")
        try:
            self.fill(disk)
        finally:
            subprocess.run(["umount", disk], check=True)

    def fill(self, disk):
        self.write_many()
        expected, _ = self.undisturbed()
        self.output, self.journal = disk / "out.jsonl", disk / "out.jsonl.journal"
        told = batch(self.input, "-o", self.output, "-m", MODEL, "-p", 2, check=1).stderr
        self.assertIn("No space left on device", told)
        self.assertIn("same command", told)
        self.assertFalse(self.output.exists())
        n_done = sum(" done " in text for text in self.journal.read_text().splitlines())
        self.assertGreater(n_done, 0)
        # As much again is no more of use than before, and nothing is lost by trying.
        batch(self.input, "-o", self.output, "-m", MODEL, "-p", 2, check=1)
        subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
        stats = json.loads(batch(self.input, "-o", self.output, "-m", MODEL, "--json").stdout)
        self.assertGreaterEqual(stats["rows_from_earlier_runs"], n_done)
        self.assertEqual(self.output.read_bytes(), expected)
        self.assertFalse(self.journal.exists())

    def test_an_output_that_cannot_be_written(self):
        self.write(line("a", "x"))
        told = batch(self.input, "-o", self.path / "no" / "out.jsonl", "-m", MODEL, check=3).stderr
        self.assertIn("out.jsonl.journal", told)


class LayersThatDiffer(InFolder):
    """Windows, states and heads that differ from layer to layer: the same bytes, kills or not."""
    ALL = ("altered-gemma3-window", "altered-lfm2-window", "altered-jamba-experts",
           "altered-deci-layers", "altered-kimi-linear-heads")

    def test_neither_neighbours_nor_a_kill_change_a_byte(self):
        shared = "Of these many words each one is the same in all rows. "
        self.write(*[line(f"row-{i}", (shared * 2 if i % 4 else "") + f"Question {i}",
                          max_tokens=60 + 9 * i, ignore_eos=True, temperature=1.0 if i % 2 else 0)
                     for i in range(16)])
        for name in self.ALL:
            with self.subTest(name):
                model = self.path / f"{name}.gguf"
                model.write_bytes(with_tokenizer((ARCHS / f"{name}.gguf").read_bytes(),
                                                 pathlib.Path(MODEL).read_bytes()))
                run = lambda *more, **options: batch(self.input, "-o", self.output, "-m", model,
                                                     "--ctx", 512, *more, **options)
                run("-p", 1)
                expected = self.output.read_bytes()
                self.assertEqual(len({row["response"]["body"]["choices"][0]["message"]["content"]
                                      for row in rows(self.output)}), 16)
                run("-p", 7, "-t", 1, "-b", 48, "--restart")
                self.assertEqual(self.output.read_bytes(), expected)
                self.output.unlink()
                process = subprocess.Popen(
                    command(self.input, "-o", self.output, "-m", model, "--ctx", 512, "-p", 2),
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                while process.poll() is None and not (self.journal.exists() and
                                                      b" done " in self.journal.read_bytes()):
                    time.sleep(0.001)
                process.kill()
                process.wait()
                run()
                self.assertEqual(self.output.read_bytes(), expected)
                self.output.unlink()


class Progress(InFolder):
    def test_a_terminal_gets_a_bar_that_ends_full(self):
        self.write_many(6, 50)
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        process = subprocess.Popen(command(self.input, "-o", self.output, "-m", MODEL),
                                   stderr=follower, stdout=subprocess.DEVNULL)
        os.close(follower)
        shown = b""
        while True:
            try:
                more = os.read(leader, 4096)
            except OSError:
                break
            if not more:
                break
            shown += more
        os.close(leader)
        self.assertEqual(process.wait(TIMEOUT), 0)
        self.assertIn(b"6/6 rows  100 %", shown)
        self.assertIn(b"tok/s", shown)

    def test_a_log_is_not_flooded(self):
        self.write_many(6, 50)
        told = batch(self.input, "-o", self.output, "-m", MODEL).stderr
        self.assertNotIn("\r", told)
        self.assertLessEqual(len(told.splitlines()), 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
