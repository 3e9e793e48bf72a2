"""Makes tiny-chat.gguf: the weights of ../archs/llama-dense.gguf with a real (small) tokenizer and a
chat template, so that tests can chat without a downloaded model. What it says is noise.

    python3 make_tiny_chat.py        (needs the PyPI package gguf)
"""
import pathlib

import gguf

here = pathlib.Path(__file__).parent
source = gguf.GGUFReader(here.parent / "archs" / "llama-dense.gguf")
writer = gguf.GGUFWriter(here / "tiny-chat.gguf", "llama")

writer.add_name("Tiny chat")
writer.add_license("mit")
writer.add_vocab_size(128)
writer.add_context_length(1024)
writer.add_embedding_length(64)
writer.add_block_count(2)
writer.add_feed_forward_length(96)
writer.add_head_count(4)
writer.add_head_count_kv(2)
writer.add_layer_norm_rms_eps(1e-5)
writer.add_rope_dimension_count(16)
writer.add_rope_freq_base(10000.0)
writer.add_float32("general.sampling.temp", 0.6)
writer.add_int32("general.sampling.top_k", 20)
writer.add_float32("general.sampling.top_p", 0.95)

special = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
characters = ["\n", "\u2581"] + [chr(c) for c in range(33, 127)]
words = ["th", "he", "in", "er", "an", "re", "on", "at", "en", "nd", "ti", "es", "or", "te", "of",
         "ed", "is", "it", "al", "ar", "st", "to", "nt", "ng", "se"]
tokens = special + characters + words
assert len(tokens) == 128
types = [2, 3, 3, 3, 3, 4, 4] + [1] * (128 - 7)
writer.add_tokenizer_model("llama")
writer.add_token_list(tokens)
writer.add_token_scores([-float(i) if i < 103 else -float(i - 102) for i in range(128)])
writer.add_token_types(types)
writer.add_unk_token_id(0)
writer.add_bos_token_id(1)
writer.add_eos_token_id(4)
writer.add_add_bos_token(True)
writer.add_add_space_prefix(False)
writer.add_chat_template(
    "{{ bos_token }}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% if enable_thinking %}{{ '<think>\n' }}{% endif %}{% endif %}")

for tensor in source.tensors:
    writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
