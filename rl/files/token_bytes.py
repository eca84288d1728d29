"""The bytes that each token of a tokenizer stands for, read from its tokenizer.json."""

import json
import re


def token_bytes(tokenizer, size: int = 0) -> list[bytes]:
    """The bytes of each token id; b"" for special tokens, which are no part of the text.

    `tokenizer` is a transformers tokenizer with a `tokenizers` backend: byte-level BPE (GPT-2, Qwen, Llama 3), or
    SentencePiece pieces with byte fallback (Llama 2, Gemma). ValueError for other kinds. `size`: the least number of
    entries, as a model may have ids that its tokenizer does not know.
    """
    to_bytes = _byte_level if _kind(_decoder(tokenizer)) == "ByteLevel" else _sentencepiece
    added = tokenizer.backend_tokenizer.get_added_tokens_decoder()
    special = {number for number, token in added.items() if token.special}
    vocabulary = tokenizer.get_vocab()  # with added tokens
    table = [b""] * max(size, max(vocabulary.values()) + 1)
    for token, number in vocabulary.items():
        if number not in special:
            table[number] = to_bytes(token)
    return table


def leading_spaces(tokenizer) -> int:
    """How many spaces the tokenizer removes from the start of a text. Llama 2 starts every text with one."""
    decoder = _decoder(tokenizer)
    return 0 if _kind(decoder) == "ByteLevel" else sum(step["start"] for step in decoder["decoders"][3:])


def _decoder(tokenizer) -> dict | None:
    """The part "decoder" of tokenizer.json. Reading this part alone is fast; the whole file takes Qwen a second."""
    decoder = tokenizer.backend_tokenizer.decoder
    return decoder and json.loads(decoder.__getstate__())


def _kind(decoder: dict | None) -> str:
    """ByteLevel or SentencePiece, by how the tokenizer turns tokens into text. ValueError for other decoders."""
    if decoder and decoder["type"] == "ByteLevel":
        return "ByteLevel"
    steps = decoder["decoders"] if decoder and decoder["type"] == "Sequence" else []
    space = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    strips = [step for step in steps[3:] if step["type"] == "Strip" and step["content"] == " " and step["stop"] == 0]
    if steps[:3] == [space, {"type": "ByteFallback"}, {"type": "Fuse"}] and steps[3:] == strips:
        return "SentencePiece"
    name = "+".join(step["type"] for step in steps) or (decoder["type"] if decoder else "none")
    raise ValueError(f"credit per token: decoder {name}: known are ByteLevel and Replace+ByteFallback+Fuse(+Strip)")


def _gpt2_letters() -> dict[str, int]:
    """The byte of each letter in a byte-level token. Bytes that print in Latin-1 are their own letter; the others have
    the letters from U+0100 on, in order."""
    printing = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printing]
    return {chr(byte): byte for byte in printing} | {chr(256 + i): byte for i, byte in enumerate(others)}


_LETTERS = _gpt2_letters()


def _byte_level(token: str) -> bytes:
    """Added tokens that are not special are plain text, unless they consist of byte-level letters only: the tokenizer
    reads those as bytes, too."""
    if all(letter in _LETTERS for letter in token):
        return bytes(_LETTERS[letter] for letter in token)
    return token.encode()


def _sentencepiece(token: str) -> bytes:
    byte = re.fullmatch("<0x([0-9A-Fa-f]{2})>", token)
    return bytes.fromhex(byte[1]) if byte else token.replace("▁", " ").encode()
