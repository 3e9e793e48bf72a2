#!/usr/bin/env python3
"""Models made of Modelfiles, and adapters, with the real program: what travels with a model takes
effect when it runs, and show tells it.

    create_test.py LLMRUN TINY_CHAT_MODEL
"""
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

LLMRUN, MODEL = sys.argv[1:3]
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="llmrun-create-"))
CHAT = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"


def run(*arguments, stdin="", check=0):
    environment = {**os.environ, "LLMRUN_HOME": str(FOLDER / "home"), "HOME": str(FOLDER),
                   "LC_ALL": "C.UTF-8", "LLMRUN_OFFLINE": "1"}
    environment.pop("OLLAMA_MODELS", None)
    result = subprocess.run([LLMRUN, *arguments], input=stdin, capture_output=True, text=True,
                            timeout=60, env=environment)
    if check is not None and result.returncode != check:
        raise AssertionError(f"{arguments}: exit {result.returncode}, not {check}\n{result.stderr}")
    return result


def create(name, text, check=0):
    (FOLDER / "Modelfile").write_text(text)
    return run("create", name, "-f", str(FOLDER / "Modelfile"), check=check)


def answer(*arguments):
    return json.loads(run("run", *arguments, "--json").stdout)


def without_template():
    """The same model with its chat template under a key that nobody reads."""
    path = FOLDER / "plain.gguf"
    data = pathlib.Path(MODEL).read_bytes()
    path.write_bytes(data.replace(b"tokenizer.chat_template", b"tokenizer.chat_templatX"))
    return path


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def write_adapter(name, tensors, **changed):
    """`tensors`: name to (dimensions, values)."""
    words = {"general.type": "adapter", "general.architecture": "llama", "adapter.type": "lora",
             **changed}
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(words) + 1)
    for key, value in words.items():
        head += text(key) + struct.pack("<I", 8) + text(value)
    head += text("adapter.lora.alpha") + struct.pack("<If", 6, 8.0)
    body = b""
    for key, (dims, values) in tensors.items():
        head += text(key) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, 0, len(body))
        data = struct.pack(f"<{len(values)}f", *values)
        body += data + bytes(-len(data) % 32)
    path = FOLDER / name
    path.write_bytes(head + bytes(-len(head) % 32) + body)
    return str(path)


def random_adapter(name, seed, size=0.3):
    draw = random.Random(seed)
    values = lambda n: [draw.uniform(-size, size) for _ in range(n)]
    return write_adapter(name, {
        "blk.0.attn_q.weight.lora_a": ((64, 4), values(256)),
        "blk.0.attn_q.weight.lora_b": ((4, 64), values(256)),
        "blk.1.ffn_down.weight.lora_a": ((96, 4), values(384)),
        "blk.1.ffn_down.weight.lora_b": ((4, 64), values(256))})


class Creating(unittest.TestCase):
    def test_parameters_and_texts_take_effect(self):
        create("pirate", f"FROM {MODEL}\nPARAMETER temperature 0\nPARAMETER num_predict 5\n"
                         "PARAMETER num_ctx 256\nPARAMETER num_keep 3\nSYSTEM You are a pirate.\n"
                         "MESSAGE user Hi\nMESSAGE assistant Ahoy\nLICENSE Be kind.\n")
        result = run("run", "pirate", "Hello", "--json")
        self.assertIn("num_keep", result.stderr)
        first = json.loads(result.stdout)
        self.assertEqual(first["usage"]["context_tokens"], 256)
        self.assertLessEqual(len(first["tokens"]), 5)
        self.assertEqual(first["tokens"], answer("pirate", "Hello")["tokens"])  # greedy
        more = answer("pirate", "Hello", "-n", "9", "--ctx", "512", "--ignore-end")
        self.assertEqual((len(more["tokens"]), more["usage"]["context_tokens"]), (9, 512))
        short = answer("pirate", "Hello", "--system", "")
        self.assertLess(short["usage"]["prompt_tokens"], first["usage"]["prompt_tokens"])
        plain = answer(MODEL, "Hello", "--temp", "0", "-n", "5")
        self.assertLess(plain["usage"]["prompt_tokens"], short["usage"]["prompt_tokens"])  # MESSAGE lines

    def test_show_tells_each(self):
        create("told", f"FROM {MODEL}\nPARAMETER stop \"<|end|>\"\nPARAMETER top_k 3\n"
                       "SYSTEM Short.\nLICENSE Be kind.\n")
        self.assertEqual(run("show", "told", "--system").stdout, "Short.\n")
        self.assertEqual(run("show", "told", "--license").stdout, "Be kind.\n")
        self.assertIn("<|end|>", run("show", "told", "--parameters").stdout)
        self.assertIn("im_start", run("show", "told", "--template").stdout)
        about = json.loads(run("show", "told", "--json").stdout)
        self.assertEqual(about["model_parameters"], {"stop": ["<|end|>"], "top_k": "3"})
        self.assertIn("Short.", run("show", "told").stdout)
        run("show", MODEL, "--parameters", check=3)
        run("show", "told", "--parameters", "--system", check=2)
        again = run("show", "told", "--modelfile").stdout
        create("told2", again)
        ids = {m["name"]: m["id"] for m in json.loads(run("list", "--json").stdout)["models"]}
        self.assertEqual(ids["told:latest"], ids["told2:latest"])

    def test_weights_are_not_copied(self):
        copy = FOLDER / "mine.gguf"
        shutil.copy(MODEL, copy)
        create("linked", f"FROM ./mine.gguf\nSYSTEM x\n")
        create("linked2", "FROM linked\nSYSTEM y\n")
        models = json.loads(run("list", "--json").stdout)["models"]
        files = {m["file"] for m in models if m["name"].startswith("linked")}
        self.assertEqual(len(files), 1)

    def test_the_order_of_templates(self):
        case = FOLDER / "case.json"
        case.write_text(json.dumps({"messages": [{"role": "user", "content": "Hello"}],
                                    "add_generation_prompt": True}))
        go = "TEMPLATE \"\"\"[{{ .System }}|{{ .Prompt }}]{{ .Response }} end\"\"\"\n"
        create("layered", f"FROM {without_template()}\n{go}")
        rendered = run("template", "-m", "layered", "-i", str(case)).stdout
        self.assertEqual(rendered, "[|Hello]")
        create("own", f"FROM {MODEL}\n{go}")  # the file's own goes first
        self.assertIn(CHAT, run("template", "-m", "own", "-i", str(case)).stdout)
        self.assertIn("Go template", run("show", "layered").stdout)
        self.assertEqual(run("show", "layered", "--template").stdout,
                         "[{{ .System }}|{{ .Prompt }}]{{ .Response }} end")
        option = FOLDER / "option.tmpl"
        option.write_text("{{ range .Messages }}<{{ .Content }}>{{ end }}")
        layered = answer("layered", "Hello", "-n", "1")
        optional = answer("layered", "Hello", "-n", "1", "--template", str(option))
        self.assertNotEqual(layered["usage"]["prompt_tokens"], optional["usage"]["prompt_tokens"])
        self.assertEqual(run("template", "--go", str(option), "-i", "-",
                             stdin='{"Messages":[{"Content":"a"},{"Content":"b"}]}').stdout, "<a><b>")

    def test_errors_have_lines(self):
        for text_, line in ((f"FROM {MODEL}\n\nPARAMETER heat 1", "line 3"),
                            (f"FROM {MODEL}\nSYSTEM \"\"\"x", "line 2"),
                            ("FORM x", "line 1"),
                            (f"FROM {MODEL}\nTEMPLATE {{{{ if }}}}", "line 1")):
            result = create("wrong", text_, check=None)
            self.assertIn(result.returncode, (2, 4), text_)
            self.assertIn(line, result.stderr)
        self.assertIn("line 1", create("wrong", "FROM no-such-model:1b", check=3).stderr)
        self.assertNotIn("wrong", run("list", "--names").stdout)


class Adapters(unittest.TestCase):
    def tokens(self, *arguments):
        return answer(*arguments, "--temp", "0", "-n", "24", "--ignore-end")["tokens"]

    def test_change_what_a_model_says(self):
        one = random_adapter("one.gguf", 1)
        two = random_adapter("two.gguf", 2)
        plain = self.tokens(MODEL, "Hello")
        adapted = self.tokens(MODEL, "Hello", "--adapter", one)
        self.assertNotEqual(plain, adapted)
        self.assertEqual(plain, self.tokens(MODEL, "Hello", "--adapter", one + ":0"))
        self.assertEqual(plain, self.tokens(MODEL, "Hello", "--adapter", one + ":1", "--adapter",
                                            one + ":-1"))
        both = self.tokens(MODEL, "Hello", "--adapter", one, "--adapter", two + ":0.5")
        self.assertNotIn(both, (plain, adapted))
        self.assertEqual(adapted, self.tokens(MODEL, "Hello", "--adapter", one, "--threads", "1"))
        self.assertEqual(adapted, self.tokens(MODEL, "Hello", "--adapter", one, "--batch", "3"))
        create("adapted", f"FROM {MODEL}\nADAPTER {one}\n")
        self.assertEqual(adapted, self.tokens("adapted", "Hello"))
        self.assertIn("adapter", run("show", "adapted").stdout)

    def test_that_do_not_fit_are_told(self):
        wrong = write_adapter("wrong.gguf", {
            "blk.0.attn_q.weight.lora_a": ((32, 4), [0.0] * 128),
            "blk.0.attn_q.weight.lora_b": ((4, 64), [0.0] * 256)})
        result = run("run", MODEL, "x", "--adapter", wrong, check=4)
        self.assertIn("blk.0.attn_q.weight.lora_a", result.stderr)
        other = write_adapter("other.gguf", {}, **{"general.architecture": "qwen2"})
        self.assertIn("qwen2", run("run", MODEL, "x", "--adapter", other, check=4).stderr)
        run("run", MODEL, "x", "--adapter", MODEL, check=4)
        run("run", MODEL, "x", "--adapter", "/no/such.gguf", check=3)
        run("run", MODEL, "x", "--adapter", wrong + ":much", check=2)


if __name__ == "__main__":
    try:
        unittest.main(argv=sys.argv[:1], verbosity=1)
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
