"""`llmrun batch` beside llama.cpp: chat rows that share a system prompt of some 600 tokens.

The peers, both through the package of peer.py, greedy, so many tokens each:
  one-shot   a process per row that loads the model, reads the prompt and answers, as a loop over a
             command line tool does. What Python itself takes to start is not counted. Only some
             rows are run, and the time is scaled to all of them.
  8 slots    one process that keeps 8 sequences in every pass, as a server with 8 slots does: a slot
             keeps its cache, so that it reads the system prompt once.
"""
import json
import pathlib
import subprocess
import tempfile
import time

from . import models
from .peer import LOAD

N_SLOTS = 8
LAYOUTS = {"repacked": [True], "file": [False], "both": [True, False]}

ONE_SHOT = r"""
import json, sys, time
import llama_cpp
path, threads, repack, n_tokens = sys.argv[1], *map(int, sys.argv[2:5])
if not repack:
    defaults = llama_cpp.llama_model_default_params
    def as_in_the_file():
        params = defaults()
        params.use_extra_bufts = False
        return params
    llama_cpp.llama_model_default_params = llama_cpp.llama_cpp.llama_model_default_params = as_in_the_file
messages = json.load(sys.stdin)
start = time.perf_counter()
model = llama_cpp.Llama(path, n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)
answer = model.create_chat_completion(messages, max_tokens=n_tokens, temperature=0,
                                      logit_bias={model.token_eos(): -100.0})
print(json.dumps({"seconds": time.perf_counter() - start, "usage": answer["usage"]}))
"""

# Reads the prompts as texts.
SLOTS = r"""
import json, sys
import numpy as np
texts = json.load(sys.stdin)
""" + LOAD + r"""
n_tokens, n_slots = map(int, sys.argv[4:6])
def tokens_of(text):
    ids = (lc.llama_token * 4096)()
    n = lc.llama_tokenize(vocab, text.encode(), len(text.encode()), ids, 4096, False, True)
    return list(ids[:n])
prompts = [tokens_of(text) for text in texts]
options = lc.llama_context_default_params()
options.n_ctx = n_slots * 1024
options.n_seq_max = n_slots
options.n_batch = 2048
options.n_ubatch = 512
options.n_threads = options.n_threads_batch = threads
context = lc.llama_init_from_model(model, options)
memory = lc.llama_get_memory(context)
batch = lc.llama_batch_init(options.n_batch, 0, 1)
slots = [{"cache": [], "todo": None} for _ in range(n_slots)]
waiting = list(prompts)
n_drawn = 0
def take(slot, index):
    prompt = waiting.pop(0)
    common = 0
    while common < min(len(prompt) - 1, len(slot["cache"])) and prompt[common] == slot["cache"][common]:
        common += 1
    lc.llama_memory_seq_rm(memory, index, common, -1)
    slot.update(cache=prompt[:common], todo=prompt[common:], left=n_tokens)
while True:
    for index, slot in enumerate(slots):
        if slot["todo"] is None and waiting:
            take(slot, index)
    batch.n_tokens = 0
    rows = []
    for index, slot in sorted(enumerate(slots), key=lambda entry: len(entry[1]["todo"] or [])):
        if slot["todo"] is None:
            continue
        part = slot["todo"][:options.n_batch - batch.n_tokens]
        for k, token in enumerate(part):
            i = batch.n_tokens
            batch.token[i] = token
            batch.pos[i] = len(slot["cache"]) + k
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = index
            batch.logits[i] = 0
            batch.n_tokens += 1
        slot["cache"] = slot["cache"] + part
        slot["todo"] = slot["todo"][len(part):]
        if part and not slot["todo"]:
            batch.logits[batch.n_tokens - 1] = 1
            rows.append((slot, batch.n_tokens - 1))
    if batch.n_tokens == 0:
        break
    assert lc.llama_decode(context, batch) == 0
    for slot, i in rows:
        logits = np.ctypeslib.as_array(lc.llama_get_logits_ith(context, i), shape=(n_vocab,))
        slot["left"] -= 1
        n_drawn += 1
        slot["todo"] = [int(logits.argmax())] if slot["left"] > 0 else None
print(json.dumps({"seconds": time.perf_counter() - start, "tokens": n_drawn}))
"""

SYSTEM = " ".join(
    f"Rule {i}: when somebody asks about {thing}, answer in plain words, give one example, and say "
    f"what is not known about {thing}."
    for i, thing in enumerate(["rivers", "bridges", "bread", "winter", "music", "ships", "letters",
                               "stones", "gardens", "clocks", "maps", "birds", "salt", "paper",
                               "wool", "glass", "roads", "wells", "lamps", "tides"], 1))



def conversations(n):
    return [[{"role": "system", "content": SYSTEM},
             {"role": "user", "content": f"Tell me something about number {i} and why it matters."}]
            for i in range(n)]


def prompt_text(talk):
    """As the ChatML template of SmolLM2 writes it."""
    turns = [f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n" for message in talk]
    return "".join(turns) + "<|im_start|>assistant\n"


def write_rows(path, talks, n_tokens):
    body = {"max_tokens": n_tokens, "temperature": 0, "ignore_eos": True}
    path.write_text("".join(json.dumps({
        "custom_id": f"row-{i}", "method": "POST", "url": "/v1/chat/completions",
        "body": {"messages": talk, **body}}) + "\n" for i, talk in enumerate(talks)))


def run_ours(args, path, talks):
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder) / "in.jsonl", pathlib.Path(folder) / "out.jsonl"
        write_rows(source, talks, args.tokens)
        start = time.perf_counter()
        out = subprocess.run([models.LLMRUN, "batch", source, "-o", target, "-m", path, "-t",
                              str(args.threads), "--no-loop-guard", "--json"], check=True,
                             capture_output=True, text=True).stdout
        return {**json.loads(out), "wall": time.perf_counter() - start}


def run_peer(args, script, path, repack, data, *more):
    out = subprocess.run([args.python, "-c", script, path, str(args.threads), str(int(repack)),
                          str(args.tokens), *map(str, more)], input=json.dumps(data), check=True,
                         capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def compare(name, args):
    """Prints the times of all three, each the best of its ways; gives them."""
    path = models.path_of(name)
    talks = conversations(args.rows)
    runs = [run_ours(args, path, talks) for _ in range(args.rounds)]
    best = min(runs, key=lambda run: run["wall"])
    print(f"llmrun batch   {best['wall']:7.1f} s  {best['answer_tokens']} tokens, "
          f"{best['cached_tokens']} of {best['prompt_tokens']} prompt tokens cached, "
          f"{best['steps']} passes", flush=True)
    results = {"llmrun": best["wall"]}
    if "one-shot" in args.peers:
        rows = talks[:args.sample]
        seconds = min(sum(run_peer(args, ONE_SHOT, path, repack, row)["seconds"] for row in rows)
                      for repack in LAYOUTS[args.layout])
        tell(results, "one-shot", seconds / len(rows) * len(talks))
    if "slots" in args.peers:
        texts = [prompt_text(talk) for talk in talks]
        seconds = min(run_peer(args, SLOTS, path, repack, texts, N_SLOTS)["seconds"]
                      for repack in LAYOUTS[args.layout])
        tell(results, "slots", seconds)
    return results


def tell(results, peer, seconds):
    results[peer] = seconds
    print(f"{peer:14} {seconds:7.1f} s  {seconds / results['llmrun']:.2f} times as long", flush=True)
