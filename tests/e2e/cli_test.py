#!/usr/bin/env python3
"""Runs the program as people and scripts do: pipes, exit codes, a chat in a pseudo-terminal, kills.

    cli_test.py LLMRUN TINY_CHAT_MODEL
"""
import json
import os
import pathlib
import pty
import random
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

LLMRUN, MODEL = sys.argv[1:3]
TIMEOUT = 60
HOME = tempfile.mkdtemp(prefix="llmrun-e2e-")


def environment():
    return {**os.environ, "LLMRUN_HOME": HOME, "TERM": "xterm", "LC_ALL": "C.UTF-8",
            "LLMRUN_OFFLINE": "1"}


def run(*arguments, stdin="", check=0):
    result = subprocess.run([LLMRUN, *arguments], input=stdin, capture_output=True, text=True,
                            timeout=TIMEOUT, env=environment())
    if check is not None and result.returncode != check:
        raise AssertionError(f"{arguments}: exit {result.returncode}, not {check}\n{result.stderr}")
    return result


class Errors(unittest.TestCase):
    def test_exit_codes_tell_the_kind(self):
        with tempfile.NamedTemporaryFile() as junk:
            junk.write(b"GGUX" + bytes(100))
            junk.flush()
            cases = [(("nonsense",), 2), (("run", MODEL, "hi", "--sed", "1"), 2),
                     (("estimate", "--params", "7X"), 2), (("show", "/no/such/file.gguf"), 3),
                     (("run", "no-such-model", "hi"), 3), (("show", junk.name), 4)]
            for arguments, code in cases:
                result = run(*arguments, check=code)
                self.assertEqual(result.stdout, "", arguments)
                self.assertEqual(result.stderr.count("error:"), 1, arguments)

    def test_json_errors_are_json(self):
        error = json.loads(run("show", "/no/such.gguf", "--json", check=3).stderr)["error"]
        self.assertIn("/no/such.gguf", error["message"])

    def test_nearest_names_are_told(self):
        self.assertIn("--seed", run("run", MODEL, "--sed", "1", check=2).stderr)
        self.assertIn("smollm2:135m", run("run", "smolm2:135m", "hi", check=3).stderr)

    def test_a_gpu_is_never_replaced_silently(self):
        result = run("run", MODEL, "hi", "-n", "1", "--device", "cuda:7", check=None)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(result.stdout, "")
        self.assertRegex(result.stderr, "CUDA|NVIDIA|cuda:7")
        self.assertIn("toaster", run("run", MODEL, "hi", "--device", "toaster", check=2).stderr)
        # Where "auto" takes the CPU it says why.
        self.assertRegex(run("run", MODEL, "hi", "-n", "1", "-v").stderr, "CUDA|NVIDIA|GPU")

    def test_context_overflow_names_both_numbers(self):
        result = run("run", MODEL, "x" * 5000, check=2)
        self.assertIn("1024", result.stderr)

    def test_closed_output_is_an_error(self):
        with open("/dev/full", "w") as full:
            code = subprocess.run([LLMRUN, "estimate", "--table"], stdout=full,
                                  stderr=subprocess.DEVNULL, timeout=TIMEOUT).returncode
        self.assertEqual(code, 1)


class Pipes(unittest.TestCase):
    def test_every_command_has_help_with_examples(self):
        names = re.findall(r"^  (\w+)  ", run("--help").stdout, re.M)
        self.assertIn("run", names)
        for name in names:
            self.assertIn("xamples", run(name, "--help").stdout, name)

    def test_same_seed_same_answer_for_any_thread_count(self):
        def answer(*more):
            return run("run", MODEL, "Hello", "--seed", "5", "-n", "24", *more).stdout
        self.assertEqual(answer(), answer("--threads", "1"))
        self.assertEqual(answer(), answer("--threads", "2", "--batch", "3"))
        other = run("run", MODEL, "Hello", "--seed", "6", "-n", "24").stdout
        self.assertNotEqual(answer(), other)

    def test_json_answer(self):
        out = json.loads(run("run", MODEL, "Hi", "-n", "5", "--seed", "1", "--format", "json").stdout)
        self.assertEqual(out["stop_reason"], "limit")
        self.assertEqual(len(out["tokens"]), 5)
        self.assertEqual(out["usage"]["dropped_tokens"], 0)

    def test_stdin_stands_before_the_prompt(self):
        def tokens(*arguments, stdin=""):
            out = run("run", MODEL, *arguments, "-n", "1", "--format", "json", stdin=stdin).stdout
            return json.loads(out)["usage"]["prompt_tokens"]
        self.assertGreater(tokens("Hi", stdin="some text"), tokens("Hi"))
        self.assertEqual(tokens(stdin="Hi"), tokens("Hi"))

    def test_text_to_ids_and_back(self):
        ids = run("tokenize", MODEL, "Hello you").stdout
        self.assertRegex(ids, r"^\d+( \d+)*\n$")
        self.assertEqual(run("detokenize", MODEL, *ids.split()).stdout.strip(), "Hello you")

    def test_template_prints_the_text_and_nothing_else(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            (path / "t.jinja").write_text(
                "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{{ bos_token }}")
            (path / "case.json").write_text(
                json.dumps({"messages": [{"role": "user", "content": "é\n"}]}))
            out = run("template", "--jinja", str(path / "t.jinja"), "--input",
                      str(path / "case.json"), "--bos-token", "<s>").stdout
        self.assertEqual(out, "[user]é\n<s>")

    def test_logits_are_an_npy_of_the_right_shape(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.npy")
            run("logits", MODEL, "--ids", "1 2 3 4 5", "-o", path)
            data = pathlib.Path(path).read_bytes()
        length = struct.unpack("<H", data[8:10])[0]
        header = data[10:10 + length].decode()
        self.assertIn("'<f4'", header)
        self.assertIn("(5, 128)", header)
        self.assertEqual(len(data), 10 + length + 5 * 128 * 4)

    def test_show_and_estimate_as_json(self):
        info = json.loads(run("show", MODEL, "--json").stdout)
        self.assertEqual(info["architecture"], "llama")
        plan = json.loads(run("estimate", MODEL, "--ctx", "128", "--json").stdout)
        self.assertEqual(plan["total_bytes"], sum(item["bytes"] for item in plan["components"]))
        rule = json.loads(run("estimate", "--params", "7B", "--bits", "4", "--json").stdout)
        self.assertIn("4.2", json.dumps(rule) + str(rule))

    def test_plan_for_a_card_that_is_not_here(self):
        plan = json.loads(run("estimate", MODEL, "--gpu", "RTX 4090", "--json").stdout)
        self.assertEqual(plan["total_bytes"], sum(item["bytes"] for item in plan["components"]))
        self.assertTrue(plan["whole"] and plan["fits"])
        self.assertGreater(plan["most_tokens_per_second"], 0)
        table = run("estimate", MODEL, "--vram", "601MiB", "--gpu-layers", "auto").stdout
        self.assertIn("0 of", table)
        small = json.loads(run("estimate", MODEL, "--vram", "64MiB", "--json").stdout)
        self.assertFalse(small["fits"])
        run("estimate", MODEL, "--gpu", "voodoo2", check=3)
        run("estimate", MODEL, "--gpu", "h100", "--device", "cpu", check=2)
        run("estimate", "--params", "7B", "--gpu", "h100", check=2)

    def test_speed_with_layers_in_main_memory(self):
        card = ("estimate", MODEL, "--gpu", "rtx4090", "--gpu-layers", "1")
        plan = json.loads(run(*card, "--host-bandwidth", "0.1", "--json").stdout)
        self.assertEqual((plan["host_bytes_per_second"], plan["host_speed_measured"]), (1e8, False))
        seconds = (plan["cards"][0]["read_bytes_per_token"] / plan["cards"][0]["bytes_per_second"]
                   + plan["host_read_bytes_per_token"] / 1e8
                   + plan["crossings"]["assumed_seconds_per_token"])
        self.assertAlmostEqual(plan["most_tokens_per_second"] * seconds, 1, 6)
        self.assertGreater(plan["host_read_bytes_per_token"], 0)
        text = run(*card, "--host-bandwidth", "0.1").stdout
        self.assertIn("of main memory (0.1 GB/s, as given)", text)
        self.assertIn("measured here", run(*card).stdout)
        for wrong in ("0", "fast", "-3"):
            run(*card, "--host-bandwidth", wrong, check=2)
        run("estimate", MODEL, "--vram", "24GiB", "--host-bandwidth", "50", check=2)
        run("estimate", MODEL, "--device", "cpu", "--host-bandwidth", "50", check=2)

    def test_plan_for_several_cards(self):
        two = ("estimate", MODEL, "--gpu", "rtx4090,rtx4090")
        for mode in ("layer", "tensor"):
            plan = json.loads(run(*two, "--split-mode", mode, "--json").stdout)
            self.assertEqual(plan["total_bytes"], sum(item["bytes"] for item in plan["components"]))
            self.assertEqual(plan["total_bytes"], sum(card["total_bytes"] for card in plan["cards"]))
            self.assertEqual({item["card"] for item in plan["components"]}, {0, 1})
            self.assertTrue(plan["whole"] and plan["fits"])
            self.assertEqual("exchange" in plan, mode == "tensor")
        shared = run(*two, "--split-mode", "tensor").stdout
        self.assertIn("on each of 2 cards", shared)
        self.assertIn("exchange", shared)
        small = run("estimate", MODEL, "--vram", "2GiB,64MiB", "--split-mode", "tensor").stdout
        self.assertIn("card 2 would have does not fit", small)
        # One value is for all cards; those that are named need not be here when their kind is told.
        named = run("estimate", MODEL, "--device", "cuda:0,1", "--gpu", "rtx4090")
        self.assertIn("card 2: GeForce RTX 4090", named.stdout)
        run("estimate", MODEL, "--gpu", "h100", "--split-mode", "tensor", check=2)
        run("estimate", MODEL, "--gpu", "h100,h100", "--vram", "1GiB,1GiB,1GiB", check=2)
        run(*two, "--split-mode", "tensor", "--gpu-layers", "1", check=2)
        run("estimate", MODEL, "--device", "metal", check=2)

    def test_plan_with_experts_in_main_memory(self):
        data = pathlib.Path(__file__).resolve().parent.parent / "data"
        experts = str(data / "archs" / "qwen3moe-moe.gguf")
        card = ("estimate", experts, "--gpu", "rtx4090")
        plan = json.loads(run(*card, "--cpu-experts", "1", "--json").stdout)
        self.assertEqual(plan["total_bytes"], sum(item["bytes"] for item in plan["components"]))
        self.assertEqual((plan["cpu_experts"], plan["whole"]), (1, False))
        self.assertGreater(plan["host_bytes"], 0)
        self.assertIn("without the experts of 1,", run(*card, "--cpu-experts", "1").stdout)
        whole = json.loads(run(*card, "--cpu-experts", "auto", "--json").stdout)
        self.assertEqual((whole["cpu_experts"], whole["whole"]), (0, True))
        self.assertIn("layers of the model have", run(*card, "--cpu-experts", "99", check=2).stderr)
        dense = run("estimate", MODEL, "--gpu", "rtx4090", "--cpu-experts", "1", check=2)
        self.assertIn("no experts", dense.stderr)
        run("estimate", experts, "--device", "cpu", "--cpu-experts", "1", check=2)
        run("run", experts, "hi", "--device", "cpu", "--cpu-experts", "1", check=2)

    def test_rope_options_change_the_answers_and_the_summary(self):
        options = ("--rope-scaling", "yarn", "--rope-factor", "4", "--rope-original-context", "64")
        self.assertIn("yarn x4 from 64", run("show", MODEL, *options).stdout)
        self.assertIn("yarn x4", run("run", MODEL, "hi", "-n", "1", "-v", *options).stderr)
        ids = ("logits", MODEL, "--ids", "1 2 3 4 5", "--top", "5", "-o", "-")
        self.assertNotEqual(run(*ids).stdout, run(*ids, *options).stdout)
        self.assertIn("factor", run("show", MODEL, "--rope-scaling", "linear", check=2).stderr)

    def test_completions_and_manual(self):
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("estimate", run("completion", shell).stdout)
        subprocess.run(["bash", "-n"], input=run("completion", "bash").stdout, text=True, check=True)
        self.assertIn(".TH", run("man").stdout)


class Terminal:
    """The program in a pseudo-terminal."""

    def __init__(self, *arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(LLMRUN, [LLMRUN, *arguments], environment())
        self.screen = ""

    def type(self, text):
        time.sleep(0.2)  # the prompt is on the screen a moment before keys are read
        os.write(self.fd, text.encode())

    def leave(self, text):
        """Types what ends the program, again when it was lost, and gives the exit code."""
        for _ in range(20):
            self.type(text)
            for _ in range(20):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    os.close(self.fd)
                    return os.waitstatus_to_exitcode(status)
                self.read(0.1)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError("the program did not end")

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.screen += data.decode(errors="replace")
        return bool(data)

    def wait_for(self, text, seconds=30):
        end = time.time() + seconds
        while text not in self.screen:
            if time.time() > end:
                raise AssertionError(f"no {text!r} in:\n{self.screen}")
            self.read(0.2)
        self.screen = self.screen[self.screen.index(text) + len(text):]

    def enter(self, text, prompt=">>> "):
        """Types a line, waits until it is taken, and for the next prompt. (Lines that wait together
        would count as one pasted message.)"""
        self.type(text)
        self.wait_for(text)
        self.type("\r")
        self.wait_for("\n")
        self.wait_for(prompt)


def chats():
    folder = pathlib.Path(HOME) / "chats"
    return [json.loads(path.read_text()) for path in folder.glob("*.json")]


class Chat(unittest.TestCase):
    def test_a_conversation(self):
        chat = Terminal("run", MODEL, "--seed", "3", "-n", "8")
        chat.wait_for(">>> ")
        chat.enter("Hello")
        chat.enter('"""', prompt="... ")
        chat.enter("two", prompt="... ")
        chat.enter('lines"""')
        chat.type("/context\r")
        chat.wait_for("of 1024 tokens")
        chat.wait_for(">>> ")
        chat.type("/nonsense\r")
        chat.wait_for("Unknown command '/nonsense'")
        chat.wait_for(">>> ")
        chat.type("/save e2e\r")
        chat.wait_for("Saved as 'e2e'")
        chat.wait_for(">>> ")
        self.assertEqual(chat.leave("\x04"), 0)
        saved = [each for each in chats() if each.get("name") == "e2e"]
        self.assertEqual(len(saved), 1)
        asked = [m["content"] for m in saved[0]["messages"] if m["role"] == "user"]
        self.assertEqual(asked, ["Hello", "two\nlines"])

        again = Terminal("run", "--resume=e2e", "-n", "4")
        again.wait_for("Going on with 'e2e'")
        again.wait_for(">>> ")
        again.enter("More")
        self.assertEqual(again.leave("/bye\r"), 0)
        saved = [each for each in chats() if each.get("name") == "e2e"]
        self.assertEqual(len([m for m in saved[0]["messages"] if m["role"] == "user"]), 3)

    def test_interrupt_stops_the_answer_and_keeps_the_chat(self):
        chat = Terminal("run", MODEL, "--seed", "3")
        chat.wait_for(">>> ")
        chat.type("Hello\r")
        time.sleep(0.05)
        chat.type("\x03")
        chat.wait_for(">>> ")
        self.assertEqual(chat.leave("/bye\r"), 0)

    def test_kill_loses_no_saved_chat(self):
        random.seed(1)
        for _ in range(6):
            before = len(chats())
            chat = Terminal("run", MODEL, "-n", "16")
            chat.wait_for(">>> ")
            chat.enter("Hello")  # the turn is saved before the prompt comes back
            chat.type("Again\r")
            time.sleep(random.random() * 0.1)
            os.kill(chat.pid, signal.SIGKILL)
            os.waitpid(chat.pid, 0)
            os.close(chat.fd)
            self.assertEqual(len(chats()), before + 1)  # and every file is whole: chats() parses


class MakingAndJudging(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="llmrun-quantize-"))
        self.text = self.folder / "text.txt"
        self.text.write_text("".join(f"Line {i} says hello to {i * i}. " for i in range(60)))

    def path(self, name):
        return str(self.folder / name)

    def test_quantize_importance_and_compare(self):
        run("importance", MODEL, "--file", str(self.text), "-o", self.path("i.gguf"), "--ctx", "64")
        out = json.loads(run("quantize", MODEL, self.path("q.gguf"), "Q4_0", "--importance",
                             self.path("i.gguf"), "--json").stdout)
        self.assertEqual(out["n_with_importance"], 15)
        self.assertTrue(any("weighted_error" in tensor for tensor in out["tensors"]))
        shown = json.loads(run("show", self.path("q.gguf"), "--json").stdout)
        self.assertIn("Q4_0", json.dumps(shown))
        result = json.loads(run("compare", MODEL, self.path("q.gguf"), "--file", str(self.text),
                                "--ctx", "64", "--prompt", "0", "--decode", "0", "--json").stdout)
        self.assertGreater(result["kl_divergence"]["value"], 0)
        self.assertGreater(result["kl_divergence"]["standard_error"], 0)
        self.assertLess(result["b"]["file_bytes"], result["a"]["file_bytes"])
        table = run("compare", MODEL, MODEL, "--file", str(self.text), "--ctx", "64", "--prompt",
                    "16", "--decode", "4").stdout
        self.assertIn("100.00 %", table)

    def test_a_dry_run_writes_nothing(self):
        out = run("quantize", MODEL, self.path("q.gguf"), "q8_0", "--dry-run", "--tensors").stdout
        self.assertIn("output.weight", out)
        self.assertFalse((self.folder / "q.gguf").exists())
        run("quantize", MODEL, self.path("q.gguf"), "Q9", check=2)
        run("quantize", MODEL, MODEL, "Q8_0", check=2)
        run("quantize", MODEL, self.path("q.gguf"), "Q8_0", "--override", "nothing", check=2)

    def test_perplexity_against_a_recorded_base(self):
        page = self.folder / "page.txt"
        page.write_text("Four lines, and three more.")
        run("logits", MODEL, "--file", str(page), "--top", "16", "-o", self.path("base.npy"))
        out = json.loads(run("perplexity", MODEL, "--file", str(page), "--base",
                             self.path("base.npy"), "--json").stdout)
        self.assertLess(out["kl_divergence"]["value"], 1e-6)
        self.assertEqual(out["same_top"]["value"], 1.0)
        run("perplexity", MODEL, "--file", str(page), "--base", self.path("base.npy"), "--ctx",
            "64", check=2)
        run("perplexity", MODEL, "--file", str(self.text), "--base", self.path("base.npy"), check=2)

    def test_doctor_tells_faults_by_its_exit_code(self):
        result = run("doctor", MODEL, "--json", check=4)  # random weights predict nothing
        report = json.loads(result.stdout)
        self.assertEqual([c["what"] for c in report["checks"] if not c["good"]], ["predictions"])
        self.assertIn("error", json.loads(result.stderr))
        run("doctor", "/no/such.gguf", check=3)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
