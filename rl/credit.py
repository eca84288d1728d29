"""Credit per token: which tokens of a completion its advantage falls on.

A rollout may say where parts of its reward R_i were won or lost (`token_rewards`, below 0 where lost) and what share of
its advantage each token gets (`token_weights`, 0..1). With a completion's one advantage A_i, its length T_i, and s_i,
what its algorithm divides rewards by,

    A_it = c_it ( A_i + ( T_i l_it - sum_u l_iu ) / s_i )            l: located, c: credit

A token at which nothing was located keeps A_i less what was located elsewhere; a token that lost a part of the reward
pays for it alone. The bracket has the mean A_i over the tokens, whatever l is: advantage is moved between tokens, and
none is added. A group whose rewards are all equal stays at exactly zero, and so do the tokens whose share is 0. This is
for GRPO, GSPO and RLOO; PPO takes l_it as the reward of token t (rl.rollout.dense_rewards), and the same shares.

    (start, end, value)  --spread_spans--> l_i    character ranges of the text, made outside `rl`
    (start, end)         --mask_tokens-->  c_i    those that are to get nothing
        both by the ranges of characters that the sampled tokens hold (token_bytes, decode)

Tokens are told apart by the bytes that they stand for. A text that is tokenised again may fall into other tokens than
those that were sampled, and then the credit would stand at the wrong ones.
"""

import json
import re
from collections.abc import Iterator, Sequence
from statistics import fmean

from torch import Tensor

from rl.rollout import Rollout, token_values


def token_advantages(advantages: Tensor, scale: Tensor | float, rollouts: list[Rollout], mask: Tensor) -> Tensor:
    """A_it: (N, G) -> (B, T), 0 at the padding. `advantages` are A_i, `scale` is s_i, (N, 1) or a number for all.

    Example: an advantage of -0.5 and scale 1; -0.25 located at the second of two tokens gives [-0.25, -0.75].
    """
    located = token_values(rollouts, "token_rewards", 0.0).to(mask)  # l_it, (B, T)
    credit = token_values(rollouts, "token_weights", 1.0).to(mask)  # c_it, (B, T), 0 at the padding
    lengths = mask.sum(dim=1, keepdim=True)  # T_i, (B, 1)
    moved = lengths * located - located.sum(dim=1, keepdim=True)  # (B, T), its sum over the tokens is 0
    learns = advantages.any(dim=1, keepdim=True)  # (N, 1): False where rewards are all equal, so that none is moved
    factor = (learns / scale).expand_as(advantages)  # (N, G)
    return (_column(advantages).to(mask) + moved * _column(factor).to(mask)) * credit


def _column(numbers: Tensor) -> Tensor:
    """(N, G) -> (B, 1): rollouts stand prompt by prompt."""
    return numbers.flatten()[:, None]


def limit_charges(rollouts: list[Rollout], group_size: int) -> None:
    """In a completion that is worse than its group, what is located may not lose more than it is worse; in place.

    The tokens outside of the places that are blamed are then freed of the loss at most. Without this they would be paid
    for a completion that is to become rarer. A completion that is no worse than its group's mean is left as it is.
    """
    for first in range(0, len(rollouts), group_size):
        group = rollouts[first : first + group_size]
        mean = fmean(rollout.reward for rollout in group)
        for rollout in group:
            if rollout.reward < mean:
                rollout.token_rewards = scale_losses(rollout.token_rewards, most=mean - rollout.reward)


def scale_losses(located: list[float], most: float) -> list[float]:
    """Losses scaled down, all by the same factor, so that they sum to `most` (>= 0) at most; gains stay.

    Example: [-3, 0, 2, -1] with most = 2 is [-1.5, 0, 2, -0.5].
    """
    lost = -sum(value for value in located if value < 0)
    if lost <= most:
        return located
    return [value * most / lost if value < 0 else value for value in located]


# from characters to tokens -----------------------------------------------------------------------------------


def spread_spans(spans: Sequence[tuple[int, int, float]], ranges: Sequence[tuple[int, int]]) -> list[float]:
    """Values of character ranges [start, end), each spread evenly over the tokens that hold a character of it.

    `ranges` are what decode() gives, of at least one token. A span that no token holds (it is empty, or lies behind the
    text) goes to the last token that starts before it, or to the first. A token without text is charged only where all
    tokens are. The sum of the values is kept.

    Example: the span (0, 3, -0.5) on tokens of the characters [0, 2), [2, 4) and [4, 5) gives [-0.25, -0.25, 0].
    """
    row = [0.0] * len(ranges)
    real = [t for t, (first, last) in enumerate(ranges) if first < last] or list(range(len(ranges)))
    for start, end, value in spans:
        tokens = [t for t in real if max(start, ranges[t][0]) < min(end, ranges[t][1])]
        if not tokens:
            tokens = [t for t in real if ranges[t][0] < start][-1:] or real[:1]
        for t in tokens:
            row[t] += value / len(tokens)
    return row


def mask_tokens(characters: Sequence[tuple[int, int]], ranges: Sequence[tuple[int, int]], length: int) -> list[float]:
    """A row of credit: 0.0 for tokens that lie in the given character ranges whole, else 1.0. `length`: of the text.

    A token of which a single character lies outside, and a token without text (the end of sequence), keeps 1.0.
    """
    inside = [False] * length
    for start, end in characters:
        inside[start:end] = [True] * (end - start)
    return [0.0 if start < end and all(inside[start:end]) else 1.0 for start, end in ranges]


# from tokens to characters -----------------------------------------------------------------------------------


def decode(pieces: Sequence[bytes], strip: int = 0) -> tuple[str, list[tuple[int, int]]]:
    """The text of the tokens' bytes, and for each token the range [start, end) of characters that it holds a byte of.

    A character whose bytes are split over two tokens belongs to both; a token without bytes has an empty range. Bytes
    that are not UTF-8 become U+FFFD, as with Python's errors="replace". `strip`: so many spaces, if they are there, are
    taken off the beginning, as some tokenizers do (leading_spaces); a token that held nothing else becomes empty.

    Example: pieces b"a\\xc3", b"\\xa9", b"" are "aé" with [(0, 2), (1, 2), (2, 2)].
    """
    data = b"".join(pieces)
    if data.isascii():
        text, owner = data.decode(), range(len(data) + 1)
    else:
        characters = list(_characters(data))
        text = "".join(character for character, _ in characters)
        owner = [i for i, (_, size) in enumerate(characters) for _ in range(size)] + [len(text)]  # of each byte
    ranges, here = [], 0
    for piece in pieces:
        first, here = here, here + len(piece)
        ranges.append((owner[first], owner[here - 1] + 1 if piece else owner[first]))
    strip = min(strip, len(text) - len(text.lstrip(" ")))
    return text[strip:], [(max(0, start - strip), max(0, end - strip)) for start, end in ranges]


def _characters(data: bytes) -> Iterator[tuple[str, int]]:
    """Each character, with the number of bytes that it stands for."""
    while data:
        try:
            valid, start, end = data.decode(), len(data), len(data)
        except UnicodeDecodeError as error:  # [start, end) are the bytes that "replace" would make one U+FFFD of
            valid, start, end = data[: error.start].decode(), error.start, error.end
        yield from ((character, len(character.encode())) for character in valid)
        if start < end:
            yield "\ufffd", end - start
        data = data[end:]


def token_bytes(tokenizer, size: int = 0) -> list[bytes]:
    """For each id the bytes that it stands for; b"" for special tokens, which the text is without.

    `tokenizer` is one of transformers' with a `tokenizers` backend: byte-level BPE (GPT-2, Qwen, Llama 3), or
    SentencePiece's pieces with byte fallback (Llama 2, Gemma); ValueError for others, as their tokens say too little of
    their bytes. `size`: at least so many entries; a model may have ids that its tokenizer does not know.
    """
    to_bytes = _byte_level if _kind(_decoder(tokenizer)) == "ByteLevel" else _sentencepiece
    added = tokenizer.backend_tokenizer.get_added_tokens_decoder()
    special = {number for number, token in added.items() if token.special}
    vocabulary = tokenizer.get_vocab()  # added tokens included
    table = [b""] * max(size, max(vocabulary.values()) + 1)
    for token, number in vocabulary.items():
        if number not in special:
            table[number] = to_bytes(token)
    return table


def leading_spaces(tokenizer) -> int:
    """How many spaces the tokenizer takes off the beginning of a text: Llama 2 begins every text with one."""
    decoder = _decoder(tokenizer)
    return 0 if _kind(decoder) == "ByteLevel" else sum(step["start"] for step in decoder["decoders"][3:])


def _decoder(tokenizer) -> dict | None:
    """How text is made of tokens, as tokenizer.json has it under "decoder": that part alone, for the whole file with
    Qwen's 150,000 tokens would take a second to be written and read again."""
    decoder = tokenizer.backend_tokenizer.decoder
    return decoder and json.loads(decoder.__getstate__())


def _kind(decoder: dict | None) -> str:
    """ByteLevel or SentencePiece, by how the tokenizer makes text of its tokens. ValueError if by neither."""
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
    """The byte that each letter of a byte-level token stands for.

    Bytes that print in Latin-1 are their own letter; the others, in order, have those from U+0100 on.
    """
    printing = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printing]
    return {chr(byte): byte for byte in printing} | {chr(256 + i): byte for i, byte in enumerate(others)}


_LETTERS = _gpt2_letters()


def _byte_level(token: str) -> bytes:
    """Added tokens that are no special ones are plain text. One of such letters alone is read as bytes all the same:
    that is what the tokenizer makes of it, and the text is the tokenizer's."""
    if all(letter in _LETTERS for letter in token):
        return bytes(_LETTERS[letter] for letter in token)
    return token.encode()


def _sentencepiece(token: str) -> bytes:
    byte = re.fullmatch("<0x([0-9A-Fa-f]{2})>", token)
    return bytes.fromhex(byte[1]) if byte else token.replace("▁", " ").encode()
