#!/usr/bin/env python3
"""Writes the folders of tests/data/convert: one tiny random model per family as a Hugging Face
folder, the logits that transformers computes for it, and the ids its tokenizer gives.

Needs PyPI torch, transformers, tokenizers, safetensors, numpy (none is needed to build or test).
  tests/convert/make_references.py tests/data/convert
The weights are stored as BF16 and the logits are those of the stored values in float32, so a
conversion to F32 must reproduce them to rounding.
"""
import json
import pathlib
import shutil
import sys

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

# The ids of tests/models/tiny.h.
IDS = [3, 17, 64, 5, 99, 120, 33, 7, 7, 42, 81, 2, 110, 9, 55, 23, 76, 100, 1, 88, 12, 64, 31, 127]
N_VOCAB = 384
N_LOGITS = 8  # positions, the last ones; they depend on all before

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+"
          r"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
GPT4O = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*"
         rf"{ENDINGS}|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK3 = [r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
             r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
             r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+"
             r"|\s+(?!\S)|\s+"]

CORPUS = ["the cat and the other cat thought that this was there", "play playing played player",
          "Hello world, hello World! 12345 678", "in the beginning of the morning, then again",
          "été à la maison, naïve café über straße", "def f(x):\n    return x + 1\n\n",
          "日本語のテキスト 中文文本 한국어", "I'm you're she'll WE'VE don't"] * 4
TEXTS = ["Hello world", "the other cat's playing, then 1234567 more", " leading and  double spaces",
         "été naïve café\n\nnew line\ttab", "def f(x):\n    return x + 1", "日本語 and 中文 한국어",
         "I'm YOU'RE we'll", "", "a<|end|>b", "emoji \U0001f600 done"]


# ---- tokenizers --------------------------------------------------------------------------------

def byte_level(splits, specials, ignore_merges=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    steps = [pre_tokenizers.Split(Regex(s), "isolated") for s in splits]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        steps + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not splits)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=N_VOCAB - len(specials), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in specials])
    return tokenizer


def byte_fallback(specials, prefix):
    """As the converter of SentencePiece models makes them: merges in the order of the ids."""
    trained = Tokenizer(models.BPE())
    mark = "\u2581"
    normalizer = [normalizers.Replace(" ", mark)]
    if prefix:
        normalizer.insert(0, normalizers.Prepend(mark))
    trained.normalizer = normalizers.Sequence(normalizer)
    n_bytes = len(specials) + 256
    trainer = trainers.BpeTrainer(vocab_size=N_VOCAB - n_bytes, show_progress=False,
                                  limit_alphabet=64)
    trained.train_from_iterator([t for text in CORPUS for t in text.split("\n")], trainer)
    learnt = json.loads(trained.to_str())["model"]
    vocab = {s: i for i, s in enumerate(specials)}
    vocab |= {f"<0x{i:02X}>": len(specials) + i for i in range(256)}
    merged = ["".join(m) for m in learnt["merges"]]
    singles = [t for t in learnt["vocab"] if t not in merged]
    for token in list(dict.fromkeys(merged)) + singles:
        vocab.setdefault(token, len(vocab))
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[tuple(m) for m in learnt["merges"]],
                                     unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = trained.normalizer
    tokenizer.decoder = decoders.Sequence([decoders.Replace(mark, " "), decoders.ByteFallback(),
                                           decoders.Fuse()])
    if not prefix:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in specials])
    bos = next(s for s in specials if s in ("<s>", "<bos>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, vocab[bos])])
    return tokenizer


def with_bos(tokenizer, bos):
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B",
                                      special_tokens=[(bos, tokenizer.token_to_id(bos))])])
    return tokenizer


# ---- weights -----------------------------------------------------------------------------------

def fill(model, seed, norm_offset=1.0):
    """Random weights, attention far from uniform; values that BF16 holds exactly."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() >= 2:
            gain = 2.0 if any(s in name for s in ("q_proj", "k_proj", "qkv", "q_b", "kv_b")) else 1.0
            value = noise * gain / parameter.shape[-1] ** 0.5
            if "embed" in name:
                value = noise
        elif "norm" in name.lower():
            value = norm_offset + 0.2 * noise
        else:
            value = 0.2 * noise
        parameter.data = value.to(torch.bfloat16).to(torch.float32)
    for name, buffer in model.named_buffers():
        if "correction_bias" in name:
            buffer.data = (0.2 * torch.randn(buffer.shape, generator=generator)).float()


def store_as_bf16(folder):
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        keep = ("e_score_correction_bias",)
        small = {k: v.contiguous() if v.dtype != torch.float32 or k.endswith(keep)
                 else v.to(torch.bfloat16).contiguous() for k, v in tensors.items()}
        save_file(small, path, metadata={"format": "pt"})


def save(out, name, model, tokenizer, generation=None, tokenizer_config=None, template=None):
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor([IDS])).logits[0].float().numpy()
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    store_as_bf16(folder)
    finish(folder, logits, tokenizer, generation, tokenizer_config, template)


def finish(folder, logits, tokenizer, generation, tokenizer_config, template):
    np.save(folder / "logits.npy", logits[-N_LOGITS:].astype(np.float32))
    (folder / "generation_config.json").unlink(missing_ok=True)
    if generation:
        (folder / "generation_config.json").write_text(json.dumps(generation))
    document = json.loads(tokenizer.to_str())
    (folder / "tokenizer.json").write_text(json.dumps(document, ensure_ascii=False,
                                                      separators=(",", ":")))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config or {}))
    if template:
        (folder / "chat_template.jinja").write_text(template)
    encoded = [{"text": t, "ids": tokenizer.encode(t, add_special_tokens=True).ids} for t in TEXTS]
    (folder / "ids.json").write_text(json.dumps(encoded, ensure_ascii=False))
    size = sum(p.stat().st_size for p in folder.iterdir())
    print(f"{folder.name:<16} {size / 1000:7.0f} kB  {len(tokenizer.get_vocab())} tokens")


BASE = dict(vocab_size=N_VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
            attn_implementation="eager", bos_token_id=1, eos_token_id=2, pad_token_id=None)


def make_llama(out):
    config = transformers.LlamaConfig(**BASE, attention_bias=True, mlp_bias=True,
        rms_norm_eps=1e-5, rope_parameters={
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32, "rope_theta": 500000.0})
    model = transformers.LlamaForCausalLM(config)
    fill(model, 1)
    tokenizer = with_bos(byte_level([LLAMA3], ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"],
                                    ignore_merges=True), "<|begin_of_text|>")
    ids = {s: tokenizer.token_to_id(s) for s in ("<|end_of_text|>", "<|eot_id|>")}
    save(out, "llama", model, tokenizer,
         {"do_sample": True, "temperature": 0.6, "top_p": 0.9,
          "eos_token_id": [ids["<|end_of_text|>"], ids["<|eot_id|>"]]},
         {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>",
          "chat_template": "{{ bos_token }}{{ messages[0].content }}"})


def make_mistral(out):
    config = transformers.MistralConfig(**BASE, head_dim=16, sliding_window=None, rms_norm_eps=1e-5,
                                        tie_word_embeddings=True)
    model = transformers.MistralForCausalLM(config)
    fill(model, 2)
    save(out, "mistral", model, byte_fallback(["<unk>", "<s>", "</s>"], prefix=True), None,
         {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})


def make_qwen2(out):
    config = transformers.Qwen2Config(**BASE, rope_parameters={
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64,
        "rope_theta": 10000.0})
    model = transformers.Qwen2ForCausalLM(config)
    fill(model, 3)
    save(out, "qwen2", model, byte_level([QWEN2], ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]),
         {"top_k": 20, "top_p": 0.8, "temperature": 0.7, "repetition_penalty": 1.05},
         {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "add_bos_token": False},
         "{{ messages[0].content }}")


def make_qwen3(out):
    config = transformers.Qwen3Config(**BASE, head_dim=16, tie_word_embeddings=True)
    model = transformers.Qwen3ForCausalLM(config)
    fill(model, 4)
    save(out, "qwen3", model, byte_level([QWEN2], ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]),
         None, {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"})


def make_qwen3moe(out):
    config = transformers.Qwen3MoeConfig(**BASE, head_dim=16, num_experts=4, num_experts_per_tok=2,
                                         moe_intermediate_size=24, norm_topk_prob=True)
    model = transformers.Qwen3MoeForCausalLM(config)
    fill(model, 5)
    save(out, "qwen3moe", model,
         byte_level([QWEN2], ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]), None,
         {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"})


def make_gemma2(out):
    config = transformers.Gemma2Config(**BASE, head_dim=16, query_pre_attn_scalar=16,
                                       sliding_window=8, attn_logit_softcapping=20.0,
                                       final_logit_softcapping=15.0)
    model = transformers.Gemma2ForCausalLM(config)
    fill(model, 6, norm_offset=0.0)
    save(out, "gemma2", model, byte_fallback(["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>",
                                              "<end_of_turn>"], prefix=False),
         {"eos_token_id": [1, 5]}, {"bos_token": "<bos>", "eos_token": "<eos>"})


def make_gemma3(out):
    base = BASE | {"num_hidden_layers": 3}
    config = transformers.Gemma3TextConfig(
        **base, head_dim=16, query_pre_attn_scalar=16, sliding_window=8,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}})
    model = transformers.Gemma3ForCausalLM(config)
    fill(model, 7, norm_offset=0.0)
    save(out, "gemma3", model, byte_fallback(["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>",
                                              "<end_of_turn>"], prefix=False),
         {"eos_token_id": [1, 5]}, {"bos_token": "<bos>", "eos_token": "<eos>"})


def make_phi3(out):
    factors = dict(long_factor=[1.0, 2.0, 4.0, 8.0], short_factor=[1.0, 1.1, 1.3, 1.5])
    config = transformers.Phi3Config(**(BASE | {"num_key_value_heads": 4}),
        original_max_position_embeddings=64,
        rope_parameters={"rope_type": "longrope", "rope_theta": 10000.0,
                         "original_max_position_embeddings": 64, **factors})
    model = transformers.Phi3ForCausalLM(config)
    fill(model, 8)
    save(out, "phi3", model,
         byte_fallback(["<unk>", "<s>", "</s>", "<|endoftext|>", "<|assistant|>", "<|end|>"],
                       prefix=True),
         None, {"bos_token": "<s>", "eos_token": "<|endoftext|>", "unk_token": "<unk>"})


def make_deepseek2(out):
    base = {k: v for k, v in BASE.items() if k not in ("num_key_value_heads",)}
    config = transformers.DeepseekV3Config(
        **base, num_key_value_heads=4, moe_intermediate_size=16, n_shared_experts=1,
        n_routed_experts=4, num_experts_per_tok=2, n_group=2, topk_group=1, first_k_dense_replace=1,
        routed_scaling_factor=2.5, norm_topk_prob=True, kv_lora_rank=16, q_lora_rank=24,
        qk_rope_head_dim=8, qk_nope_head_dim=16, v_head_dim=12,
        rope_parameters={"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0,
                         "original_max_position_embeddings": 64, "beta_fast": 32, "beta_slow": 1,
                         "mscale": 1.0, "mscale_all_dim": 1.0})
    model = transformers.DeepseekV3ForCausalLM(config)
    fill(model, 9)
    save(out, "deepseek3", model,
         byte_level(DEEPSEEK3, ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"]), None,
         {"bos_token": {"content": "<｜begin▁of▁sentence｜>"},
          "eos_token": {"content": "<｜end▁of▁sentence｜>"}, "add_bos_token": False})


def make_deepseek2_lite(out):
    base = {k: v for k, v in BASE.items() if k not in ("num_key_value_heads",)}
    config = transformers.DeepseekV2Config(
        **base, num_key_value_heads=4, moe_intermediate_size=16, n_shared_experts=2,
        n_routed_experts=4, num_experts_per_tok=2, n_group=1, topk_group=1, first_k_dense_replace=1,
        routed_scaling_factor=1.0, topk_method="greedy", norm_topk_prob=False, kv_lora_rank=16,
        q_lora_rank=None, qk_rope_head_dim=8, qk_nope_head_dim=16, v_head_dim=12)
    model = transformers.DeepseekV2ForCausalLM(config)
    fill(model, 10)
    save(out, "deepseek2", model,
         byte_level(DEEPSEEK3, ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"]), None,
         {"bos_token": {"content": "<｜begin▁of▁sentence｜>"},
          "eos_token": {"content": "<｜end▁of▁sentence｜>"}, "add_bos_token": False})


E2M1 = torch.tensor([0., .5, 1., 1.5, 2., 3., 4., 6., -0., -.5, -1., -1.5, -2., -3., -4., -6.])


def mxfp4(shape, generator):
    """Random packed blocks [..., width / 32, 16] with scales, and the floats they mean."""
    *outer, width = shape
    blocks = torch.randint(0, 256, (*outer, width // 32, 16), generator=generator, dtype=torch.uint8)
    scales = torch.randint(121, 124, (*outer, width // 32), generator=generator, dtype=torch.uint8)
    pairs = torch.stack([E2M1[(blocks & 15).long()], E2M1[(blocks >> 4).long()]], -1)
    values = pairs.flatten(-2) * torch.exp2(scales.float() - 127).unsqueeze(-1)
    return blocks, scales, values.reshape(*shape)


def make_gpt_oss(out):
    config = transformers.GptOssConfig(
        **(BASE | {"intermediate_size": 32}), head_dim=16, num_local_experts=4,
        num_experts_per_tok=2, sliding_window=8, attention_bias=True,
        rope_parameters={"rope_type": "yarn", "factor": 4.0, "rope_theta": 150000.0,
                         "original_max_position_embeddings": 64, "beta_fast": 32.0,
                         "beta_slow": 1.0, "truncate": True})
    model = transformers.GptOssForCausalLM(config)
    fill(model, 11)
    generator = torch.Generator().manual_seed(12)
    packed = {}
    for i, layer in enumerate(model.model.layers):
        for name in ("gate_up_proj", "down_proj"):
            parameter = getattr(layer.mlp.experts, name)  # [experts, in, out]
            n, n_in, n_out = parameter.shape
            blocks, scales, values = mxfp4((n, n_out, n_in), generator)
            parameter.data = values.transpose(1, 2).contiguous()
            key = f"model.layers.{i}.mlp.experts.{name}"
            packed |= {key + "_blocks": blocks, key + "_scales": scales}
    tokenizer = byte_level([GPT4O], ["<|startoftext|>", "<|endoftext|>", "<|return|>", "<|call|>",
                                     "<|end|>", "<|message|>"])
    # Twice: experts unpacked to BF16, as copies of the model have them, and packed as published.
    for name in ("gpt-oss-bf16", "gpt-oss"):
        save(out, name, model, tokenizer, None, {"eos_token": "<|return|>"})
    folder = out / "gpt-oss"
    tensors = load_file(folder / "model.safetensors")
    for key in [k for k in tensors if k.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        del tensors[key]
    save_file(tensors | packed, folder / "model.safetensors", metadata={"format": "pt"})


MAKERS = [make_llama, make_mistral, make_qwen2, make_qwen3, make_qwen3moe, make_gemma2, make_gemma3,
          make_phi3, make_deepseek2, make_deepseek2_lite, make_gpt_oss]

if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    for maker in MAKERS:
        if len(sys.argv) < 3 or any(s in maker.__name__ for s in sys.argv[2:]):
            maker(target)
