"""Takes GGUF files apart and puts them together, for tests: parts as llama.cpp's gguf-split makes
them, and a model with another one's tokenizer."""
import struct

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
U16, I32 = 2, 5
ALIGNMENT = 32


def _text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, form):
        value, = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self):
        length = self.number("Q")
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def skip_value(self, kind):
        if kind == 8:
            self.text()
        elif kind == 9:
            element, count = self.number("I"), self.number("Q")
            for _ in range(count):
                self.skip_value(element)
        else:
            self.at += SIZES[kind]


def _parse(data):
    """The metadata as (key, its bytes), and the tensors as [name, dims, type, offset, bytes]."""
    reader = _Reader(data)
    assert data[:4] == b"GGUF"
    reader.at = 8
    n_tensors, n_keys = reader.number("Q"), reader.number("Q")
    metadata = []
    for _ in range(n_keys):
        begin = reader.at
        key = reader.text()
        reader.skip_value(reader.number("I"))
        metadata.append((key, data[begin:reader.at]))
    tensors = []
    for _ in range(n_tensors):
        name, n_dims = reader.text(), reader.number("I")
        dims = [reader.number("Q") for _ in range(n_dims)]
        tensors.append([name, dims, reader.number("I"), reader.number("Q")])
    start = -(-reader.at // ALIGNMENT) * ALIGNMENT
    order = sorted(range(n_tensors), key=lambda i: tensors[i][3])
    for place, i in enumerate(order):
        last = place + 1 == n_tensors
        end = len(data) - start if last else tensors[order[place + 1]][3]
        tensors[i].append(data[start + tensors[i][3]:start + end])
    return metadata, tensors


def split(data, n_parts):
    """The bytes of each part; the first has the metadata."""
    metadata, tensors = _parse(data)
    share = -(-len(tensors) // n_parts)
    return [_file((metadata if i == 0 else []) + _split_keys(i, n_parts, len(tensors)),
                  tensors[i * share:(i + 1) * share]) for i in range(n_parts)]


def with_tokenizer(model, other):
    """A model with the tokenizer and the chat template of another one."""
    metadata, tensors = _parse(model)
    is_tokenizer = lambda entry: entry[0].startswith("tokenizer.")
    return _file([entry for entry in metadata if not is_tokenizer(entry)] +
                 list(filter(is_tokenizer, _parse(other)[0])), tensors)


def _split_keys(number, n_parts, n_tensors):
    return [(key, _text(key) + struct.pack("<I", kind) + value) for key, kind, value in (
        ("split.no", U16, struct.pack("<H", number)),
        ("split.count", U16, struct.pack("<H", n_parts)),
        ("split.tensors.count", I32, struct.pack("<i", n_tensors)))]


def _file(metadata, tensors):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(content for _, content in metadata)
    body = b""
    for name, dims, kind, _, content in tensors:
        body += b"\0" * (-len(body) % ALIGNMENT)
        head += _text(name) + struct.pack("<I", len(dims))
        head += struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", kind, len(body))
        body += content
    return head + b"\0" * (-len(head) % ALIGNMENT) + body
