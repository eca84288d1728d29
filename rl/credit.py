"""Credit per token: which tokens of a completion its advantage falls on.

A rollout may place parts of its reward R_i at tokens (`token_rewards` l_it, below 0 for a loss) and give each token a
share of its advantage (`token_weights` c_it, 0..1). With advantage A_i, length T_i, and s_i, the number that the
algorithm divides rewards by,

    A_it = c_it ( A_i + ( T_i l_it - sum_u l_iu ) / s_i )

A token without its own reward keeps A_i less what the others got; a token that lost a part of the reward pays for it
alone. The bracket has the mean A_i over the tokens whatever l is: advantage moves between tokens, none is added. A
group with equal rewards stays at exactly zero, and so do tokens with weight 0. GRPO, GSPO and RLOO use this form. PPO
takes l_it as the reward of token t (`dense_rewards`) and the same weights.

    (start, end, value)  --spread_spans--> l_i    character ranges of the text, made outside `rl`
    (start, end)         --mask_tokens-->  c_i    ranges that get no credit

Both map characters to the sampled tokens by the bytes of these tokens (`decode`). The text is never tokenised again:
that could give other tokens than those that were sampled.
"""

from collections.abc import Iterator, Sequence
from statistics import fmean

from torch import Tensor

from rl.rollout import Batch, Rollout, pad_rows


def token_advantages(advantages: Tensor, scale: Tensor | float, batch: Batch) -> Tensor:
    """A_it: (N, G) -> (B, T), 0 at the padding. `advantages` are A_i, `scale` is s_i: (N, 1), or one number.

    Example: advantage -0.5, scale 1, and -0.25 placed at the second of two tokens give [-0.25, -0.75].
    """
    mask = batch.mask
    placed = token_values(batch.rollouts, "token_rewards", 0.0).to(mask)  # l_it, (B, T)
    weights = token_values(batch.rollouts, "token_weights", 1.0).to(mask)  # c_it, (B, T), 0 at the padding
    lengths = mask.sum(dim=1, keepdim=True)  # T_i, (B, 1)
    moved = lengths * placed - placed.sum(dim=1, keepdim=True)  # (B, T), sums to 0 along a row
    learns = advantages.any(dim=1, keepdim=True)  # (N, 1): False where all rewards are equal
    factor = (learns / scale).expand_as(advantages)  # (N, G)
    return (_column(advantages).to(mask) + moved * _column(factor).to(mask)) * weights


def _column(numbers: Tensor) -> Tensor:
    """(N, G) -> (B, 1): rollouts stand prompt by prompt."""
    return numbers.flatten()[:, None]


def dense_rewards(rollouts: list[Rollout]) -> Tensor:
    """(B, T): the token rewards, and the rest of the reward on the last token. A row sums to its reward.

    Example: reward 1.0 over three tokens is [0, 0, 1]; with [0, -0.5, 0] placed, it is [0, -0.5, 1.5].
    """
    earlier = [_row(rollout, "token_rewards", 0.0)[:-1] for rollout in rollouts]
    rows = [row + [rollout.reward - sum(row)] for row, rollout in zip(earlier, rollouts, strict=True)]
    return pad_rows(rows, rollouts)


def token_values(rollouts: list[Rollout], name: str, default: float) -> Tensor:
    """(B, T): the field `name` of each rollout; `default` along an empty row; 0 at the padding.

    ValueError for a row whose length is not the completion's.
    """
    return pad_rows([_row(rollout, name, default) for rollout in rollouts], rollouts)


def _row(rollout: Rollout, name: str, default: float) -> list[float]:
    row, length = getattr(rollout, name), len(rollout.completion)
    if row and len(row) != length:
        raise ValueError(f"prompt {rollout.prompt_id}: {name}: {len(row)} numbers for {length} tokens")
    return row or [default] * length


def limit_charges(rollouts: list[Rollout]) -> None:
    """Limits the losses placed in a completion to its distance below the group's mean reward; in place.

    Without the limit, the tokens outside the blamed places would be rewarded although their completion is worse than
    its group. Completions at or above the mean stay as they are.
    """
    groups: dict[int | str, list[Rollout]] = {}
    for rollout in rollouts:
        groups.setdefault(rollout.prompt_id, []).append(rollout)
    for group in groups.values():
        mean = fmean(rollout.reward for rollout in group)
        for rollout in group:
            if rollout.reward < mean:
                rollout.token_rewards = scale_losses(rollout.token_rewards, most=mean - rollout.reward)


def scale_losses(values: list[float], most: float) -> list[float]:
    """Scales all losses by one factor so that they sum to at most `most` (>= 0); gains stay.

    Example: [-3, 0, 2, -1] with most = 2 is [-1.5, 0, 2, -0.5].
    """
    lost = -sum(value for value in values if value < 0)
    if lost <= most:
        return values
    return [value * most / lost if value < 0 else value for value in values]


# from characters to tokens -----------------------------------------------------------------------------------


def spread_spans(spans: Sequence[tuple[int, int, float]], ranges: Sequence[tuple[int, int]]) -> list[float]:
    """Spreads the value of each character range [start, end) evenly over the tokens that hold one of its characters.

    `ranges` come from `decode`, of at least one token. A span without a token (empty, or behind the text) goes to the
    last token that starts before it, or to the first. Tokens without text get a value only if no token has text. The
    sum of the values is kept.

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
    """Token weights: 0.0 for tokens that lie wholly in the given character ranges, else 1.0. `length`: of the text.

    Tokens with a character outside, and tokens without text (EOS), keep 1.0.
    """
    inside = [False] * length
    for start, end in characters:
        inside[start:end] = [True] * (end - start)
    return [0.0 if start < end and all(inside[start:end]) else 1.0 for start, end in ranges]


# from tokens to characters -----------------------------------------------------------------------------------


def decode(pieces: Sequence[bytes], strip: int = 0) -> tuple[str, list[tuple[int, int]]]:
    """The text of the tokens' bytes, and for each token its characters as a range [start, end).

    A character whose bytes are split over two tokens belongs to both. A token without bytes has an empty range. Bytes
    that are not UTF-8 become U+FFFD, as with Python's errors="replace". `strip`: at most so many leading spaces are
    removed (rl/files/token_bytes.py).

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
    """Each character, with its number of bytes."""
    while data:
        try:
            valid, start, end = data.decode(), len(data), len(data)
        except UnicodeDecodeError as error:  # errors="replace" would make one U+FFFD of the bytes [start, end)
            valid, start, end = data[: error.start].decode(), error.start, error.end
        yield from ((character, len(character.encode())) for character in valid)
        if start < end:
            yield "\ufffd", end - start
        data = data[end:]
