"""Credit per token: from characters to sampled tokens, and from there into the losses."""

import json
import random
import statistics
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from rl import grpo, gspo, ppo, reinforce, rloo
from rl.credit import (
    decode,
    dense_rewards,
    limit_charges,
    mask_tokens,
    scale_losses,
    spread_spans,
    token_advantages,
    token_values,
)
from rl.files.token_bytes import leading_spaces, token_bytes
from rl.loss import Totals
from rl.rollout import Rollout, make_batch, reward_table

TINY = Path(__file__).parents[2] / "data" / "tiny"


# tokenizers and texts --------------------------------------------------------------------------------------

LETTERS = pre_tokenizers.ByteLevel.alphabet()  # the library's own, to compare ours with
PIECES = [
    *("def f(x):\n", "    return ", "\tif x:\r\n", "\r", "\f", "\u2028", "\x85", "x = 'ß'\n", "# naïve ", "café", "λ"),
    *(
        "日本語",
        "e\u0301",
        "n\u0303\u0323",
        "😀",
        "👩\u200d💻",
        "🇩🇪",
        "\U0010ffff",
        "\ufffd",
        "\ufeff",
        "  ",
        "a_1",
        "==",
        "\0",
    ),
]


def program(generator):
    """A text that holds what makes characters and bytes differ."""
    return "".join(generator.choices(PIECES, k=generator.randint(0, 14)))


def byte_level(vocabulary, merges=()):
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def random_merges(generator, count=250):
    """A byte-level BPE with blindly picked merges: its tokens begin and end within characters, and span lines."""
    letters = byte_level({letter: i for i, letter in enumerate(sorted(LETTERS))})
    corpus = [t for _ in range(60) for t in letters.encode(program(generator)).tokens]
    merges = []
    while len(merges) < count:
        here = generator.randrange(len(corpus) - 1)
        pair = corpus[here], corpus[here + 1]
        merges.append(pair)
        merged, i = [], 0
        while i < len(corpus):
            joined = tuple(corpus[i : i + 2]) == pair
            merged.append("".join(pair) if joined else corpus[i])
            i += 1 + joined
        corpus = merged
    tokens = dict.fromkeys([*sorted(LETTERS), *("".join(pair) for pair in merges)])
    tokenizer = byte_level({token: i for i, token in enumerate(tokens)}, merges)
    tokenizer.add_special_tokens(["<end>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")


def sentencepiece(*strip):
    """Llama 2's kind: pieces with ▁ for a space, and a token for each byte."""
    tokens = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "▁▁", "▁def", "é", "日▁", "<0x0A", "x"]
    tokenizer = Tokenizer(
        models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[], byte_fallback=True, unk_token="<unk>")
    )
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    tokenizer.decoder = decoders.Sequence(steps)
    tokenizer.add_special_tokens(["</s>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>")


SECOND_BYTE = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}  # else 80..BF


def holders(pieces):
    """How many characters there are, and which of them each token holds a byte of.

    A walk over the bytes by table 3-7 of the Unicode standard. A sequence that breaks off is one broken character.
    """
    data = [(byte, token) for token, piece in enumerate(pieces) for byte in piece]
    found, characters = [set() for _ in pieces], 0
    while data:
        lead = data[0][0]
        following = 1 if 0xC2 <= lead <= 0xDF else 2 if 0xE0 <= lead <= 0xEF else 3 if 0xF0 <= lead <= 0xF4 else 0
        (low, high), size = SECOND_BYTE.get(lead, (0x80, 0xBF)), 1
        while size <= min(following, len(data) - 1) and low <= data[size][0] <= high:
            (low, high), size = (0x80, 0xBF), size + 1
        for _, token in data[:size]:
            found[token].add(characters)
        data, characters = data[size:], characters + 1
    return characters, found


# from tokens to characters ---------------------------------------------------------------------------------


def samples(name):
    """1,000 texts as token ids: 700 as the tokenizer writes them, 300 drawn blindly, as a policy may write them."""
    generator = random.Random(7)
    tokenizer = AutoTokenizer.from_pretrained(TINY) if name == "tiny" else random_merges(generator)
    end, rows = tokenizer.eos_token_id, []
    for i in range(1000):
        ids = tokenizer(program(generator), add_special_tokens=False).input_ids
        if i % 10 >= 7:
            ids = generator.choices(range(len(tokenizer)), k=generator.randint(1, 12))
            ids.insert(generator.randint(0, len(ids)), end)
        rows.append(ids + [end] * (i % 2))
    return tokenizer, rows


@pytest.mark.parametrize("name", ["tiny", "random merges"])
def test_every_character_belongs_to_exactly_the_tokens_that_hold_it(name):
    """Characters counted as bytes, a split character given to one of its tokens only, a broken one counted twice.

    For a byte-level tokenizer the text is the library's, invalid bytes included.
    """
    tokenizer, rows = samples(name)
    table, generator = token_bytes(tokenizer), random.Random(8)
    split = broken = shared = 0
    for ids in rows:
        pieces = [table[i] for i in ids]
        text, ranges = decode(pieces)
        assert text == tokenizer.decode(ids, skip_special_tokens=True)
        count, expected = holders(pieces)
        assert len(text) == count
        assert [set(range(start, end)) for start, end in ranges] == expected
        for t, (start, end) in enumerate(ranges):
            if not pieces[t]:
                assert start == end
        for c in generator.sample(range(count), min(count, 4)):
            row, own = spread_spans([(c, c + 1, -1.0)], ranges), [t for t, held in enumerate(expected) if c in held]
            assert row == [-1 / len(own) if t in own else 0.0 for t in range(len(ids))]
            shared += len(own) > 1
        split += sum(len(held) > 1 for held in expected)
        broken += "\ufffd" in text
    assert min(split, broken, shared) > 100


@pytest.mark.parametrize(
    ("pieces", "text", "ranges"),
    [
        ([], "", []),
        ([b"ab", b"", b"c"], "abc", [(0, 2), (2, 2), (2, 3)]),
        ([b"a\xc3", b"\xa9b"], "aéb", [(0, 2), (1, 3)]),
        ([b"\xf0\x9f", b"", b"\x98", b"\x80"], "😀", [(0, 1), (0, 0), (0, 1), (0, 1)]),
        ([b"\xe2\x82", b"a"], "\ufffda", [(0, 1), (1, 2)]),  # cut short within
        ([b"a", b"\xe2", b"\x82"], "a\ufffd", [(0, 1), (1, 2), (1, 2)]),  # and at the end
        ([b"\xff\xfe", b"\x80"], "\ufffd\ufffd\ufffd", [(0, 2), (2, 3)]),
        ([b"\xed\xa0", b"\x80x"], "\ufffd\ufffd\ufffdx", [(0, 2), (2, 4)]),  # a surrogate is no character
    ],
)
def test_text_and_ranges_of_known_bytes(pieces, text, ranges):
    """A truncated character at the end left out, or an invalid byte that shifts all that follows."""
    assert decode(pieces) == (text, ranges)


def test_token_bytes_of_a_byte_level_tokenizer():
    """An alphabet shifted by one, a special token's name taken for text, an added token's space read as a letter."""
    tokenizer = byte_level({letter: i for i, letter in enumerate(sorted(LETTERS))})
    tokenizer.add_special_tokens(["<end>"])
    tokenizer.add_tokens([AddedToken("<tool 日>"), AddedToken("héé")])
    table = token_bytes(PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>"), size=270)
    assert sorted(table[:256]) == [bytes([byte]) for byte in range(256)]
    for byte in range(256):
        (token,) = tokenizer.encode(chr(byte)).tokens[-1:]  # the last byte of this character's UTF-8
        assert table[tokenizer.token_to_id(token)] == chr(byte).encode()[-1:]
    assert table[256:] == [b"", "<tool 日>".encode(), b"h\xe9\xe9"] + [b""] * 11
    assert tokenizer.decode([257, 258]) == "<tool 日>h\ufffd\ufffd"  # the library, too, takes letters for bytes


@pytest.mark.parametrize("strip", [0, 1, 2])
def test_a_sentencepiece_tokenizer_gives_the_librarys_text(strip):
    """The space that begins a text counted as a character, a byte token taken for six letters, ▁ for one of text.

    Where byte tokens make no UTF-8 the library writes one U+FFFD for each byte of their run, and we what Python does.
    """
    tokenizer = sentencepiece(*([decoders.Strip(" ", strip, 0)] if strip else []))
    table, generator, seen = token_bytes(tokenizer), random.Random(3), 0
    known = tokenizer.get_vocab()
    texts = ["▁", "▁▁", "▁def", "é", "日▁", "<0x0A", "x", "</s>", "<0x0A>", "<0x20>"]
    assert leading_spaces(tokenizer) == strip
    for _ in range(200):
        tokens = generator.choices([*texts, "😀"], k=generator.randint(1, 6))
        written = [t if t != "😀" else "<0xF0> <0x9F> <0x98> <0x80>" for t in tokens]
        ids = [known[token] for entry in written for token in entry.split(" ")]
        text, ranges = decode([table[i] for i in ids], leading_spaces(tokenizer))
        assert text == tokenizer.decode(ids, skip_special_tokens=True)
        _, whole = decode([table[i] for i in ids])
        cut = max(end for _, end in whole) - len(text)
        assert ranges == [(max(0, start - cut), max(0, end - cut)) for start, end in whole]
        seen += cut > 0
    assert (seen > 20) == (strip > 0)
    broken = [known[f"<0x{byte:02X}>"] for byte in b"\xe2\x82"]
    assert decode([table[i] for i in broken])[0] == "\ufffd"
    assert tokenizer.decode(broken) == "\ufffd\ufffd"


@pytest.mark.parametrize(
    ("decoder", "name"),
    [
        (decoders.Metaspace(), "Metaspace"),
        (decoders.WordPiece(), "WordPiece"),
        (
            decoders.Sequence([decoders.Replace("_", " "), decoders.ByteFallback(), decoders.Fuse()]),
            "Replace.Byte",
        ),
        (decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()]), "ByteFallback.Fuse: known"),
        (None, "none"),
    ],
)
def test_an_unknown_decoder_is_an_error(decoder, name):
    """Tokens of a tokenizer that we cannot read, taken for plain text."""
    state = json.loads(byte_level({"a": 0}).to_str()) | {"decoder": decoder and json.loads(decoder.__getstate__())}
    tokenizer = Tokenizer.from_str(json.dumps(state))
    wrapped = SimpleNamespace(backend_tokenizer=tokenizer, get_vocab=tokenizer.get_vocab)
    for function in (token_bytes, leading_spaces):
        with pytest.raises(ValueError, match=f"decoder {name}"):
            function(wrapped)


# from characters to tokens ---------------------------------------------------------------------------------


def plain_lay(spans, ranges):
    """By sets of characters."""
    row, real = [0.0] * len(ranges), [t for t, (a, b) in enumerate(ranges) if b > a]
    real = real or list(range(len(ranges)))
    for start, end, value in spans:
        touched = [t for t in real if set(range(start, end)) & set(range(*ranges[t]))]
        if not touched:
            before = [t for t in real if ranges[t][0] < start]
            touched = [before[-1] if before else real[0]]
        for t in touched:
            row[t] += value / len(touched)
    return row


def test_spans_and_marks_equal_a_plain_loop():
    """A token that straddles a span's edge left out, a span behind the text dropped, an end of sequence charged."""
    generator, past = random.Random(1), 0
    for _ in range(300):
        pieces = [
            generator.choice([b"ab", b"c", b"\xc3", b"\xa9d", b"", b"efgh"]) for _ in range(generator.randint(1, 9))
        ]
        text, ranges = decode(pieces)
        spans = []
        for _ in range(generator.randint(0, 4)):
            start = generator.randint(0, len(text) + 2)
            spans.append((start, start + generator.randint(0, 5), generator.choice([-1.0, -0.25, 0.5])))
        row = spread_spans(spans, ranges)
        assert row == pytest.approx(plain_lay(spans, ranges))
        assert sum(row) == pytest.approx(sum(value for _, _, value in spans))
        assert all(value == 0 or a < b for value, (a, b) in zip(row, ranges, strict=True)) or not text
        dead = [(start, min(end, len(text))) for start, end, _ in spans if start < len(text)]
        gone = {c for start, end in dead for c in range(start, end)}
        expected = [0.0 if a < b and set(range(a, b)) <= gone else 1.0 for a, b in ranges]
        assert mask_tokens(dead, ranges, len(text)) == expected
        past += any(start >= len(text) for start, _, _ in spans)
    assert past > 20


@pytest.mark.parametrize(
    ("span", "row"),
    [
        ((0, 3, -0.5), [-0.25, -0.25, 0, 0]),
        ((3, 4, -0.5), [0, -0.5, 0, 0]),
        ((2, 2, -0.5), [-0.5, 0, 0, 0]),  # empty, at a token's start: what stands before it
        ((3, 3, -0.5), [0, -0.5, 0, 0]),  # empty, within a token
        ((0, 0, -0.5), [-0.5, 0, 0, 0]),  # nothing stands before it
        ((5, 9, -0.5), [0, 0, -0.5, 0]),  # behind the text, as of a bracket that was never closed
    ],
)
def test_where_a_span_falls(span, row):
    """The end of sequence, which holds no character, charged for a missing bracket."""
    assert spread_spans([span], [(0, 2), (2, 4), (4, 5), (5, 5)]) == row
    assert sum(spread_spans([span], [(0, 0), (0, 0)])) == -0.5  # of a completion without text


def test_marks_of_known_ranges():
    """A token that holds the end of an executed line frozen with the line after it; two ranges that meet not joined."""
    ranges = [(0, 2), (2, 5), (5, 6), (6, 6)]
    assert mask_tokens([(1, 5)], ranges, 6) == [1, 0, 1, 1]
    assert mask_tokens([(2, 4), (4, 6)], ranges, 6) == [1, 0, 0, 1]
    assert mask_tokens([], ranges, 6) == [1, 1, 1, 1]


# how much may be charged -----------------------------------------------------------------------------------


def rollout(length, reward=0.0, token_rewards=(), token_weights=(), group=0):
    log_probs = [-0.5 - 0.125 * t for t in range(length)]
    more = {"reward": reward, "token_rewards": list(token_rewards), "token_weights": list(token_weights)}
    return Rollout(group, 0, [3], list(range(4, 4 + length)), log_probs, "eos", "", **more)


def test_losses_are_scaled_to_what_may_be_lost():
    """Gains scaled along, losses below the bound blown up to it, or a bound of zero divided by."""
    assert scale_losses([-3.0, 0.0, 2.0, -1.0], 2.0) == [-1.5, 0, 2, -0.5]
    assert scale_losses([-3.0, 2.0], 4.0) == [-3, 2]
    assert scale_losses([-3.0, 2.0], 0.0) == [0, 2]
    assert scale_losses([], 0.0) == []


def test_a_bad_completion_frees_its_other_tokens_but_does_not_pay_them():
    """The tokens outside the blamed line of a failing program made likelier; a good completion's charge taken away."""
    rows = [[-3.0, 0.0, 0.0, -1.0], [0.0, -0.25, 0.0], [-3.0, 0.0], []]
    rewards = [0.0, 0.25, 1.0, 0.75]
    rollouts = [rollout(len(row) or 2, r, row) for row, r in zip(rows, rewards, strict=True)]
    other_group = [rollout(2, r, [-3.0, 0.0], group=1) for r in (-5.0, -4.0, -5.0, -5.0)]
    limit_charges(rollouts + other_group)
    assert [r.token_rewards for r in rollouts] == [[-0.375, 0, 0, -0.125], [0, -0.25, 0], [-3, 0], []]
    assert [r.token_rewards for r in other_group] == [[-0.25, 0], [-3, 0], [-0.25, 0], [-0.25, 0]]
    for scale in grpo.SCALES:
        advantages, divisor = grpo.group_advantages(reward_table(rollouts), scale)
        found = token_advantages(advantages, divisor, make_batch(rollouts)).tolist()
        assert found[0][1:3] == pytest.approx([0, 0], abs=1e-6)
        assert found[1][0] == pytest.approx(found[1][2], abs=1e-6)
        assert found[1][0] == pytest.approx(0, abs=1e-6)
        assert found[0][0] == pytest.approx(3 * found[0][3], rel=1e-5)
        assert found[0][3] < 0


# into the losses -------------------------------------------------------------------------------------------

LENGTHS, REWARDS = [3, 2, 4, 1, 2, 3], [0.0, 0.5, 1.0, 0.25, 0.25, 0.25]  # two groups of three; the second is flat


def make_rollouts(rewards=REWARDS):
    """Rows of numbers that a float32 holds; one of each kind is empty, one token of each row gets no credit."""
    generator = random.Random(5)
    rollouts = []
    for i, (length, reward) in enumerate(zip(LENGTHS, rewards, strict=True)):
        located = [generator.randint(-8, 4) / 16 for _ in range(length)] if i % 3 else []
        credit = [generator.choice([0.5, 1.0, 0.25]) for _ in range(length)] if i % 3 < 2 else []
        if credit and length > 1:
            credit[generator.randrange(length)] = 0.0
        rollouts.append(rollout(length, reward, located, credit, group=i // 3))
    return rollouts


def double_batch(rollouts):
    """Its masks in float64, and with them the advantages."""
    batch = make_batch(rollouts)
    batch.mask = batch.mask.double()
    return batch


def plain(advantages, scales, rollouts):
    """A_it by the equation at the top of rl/credit.py, one number at a time."""
    table = []
    for a, s, r in zip(advantages, scales, rollouts, strict=True):
        located, credit, length = r.token_rewards, r.token_weights, len(r.completion)
        located, credit = located or [0.0] * length, credit or [1.0] * length
        table.append([credit[t] * (a + (length * located[t] - sum(located)) / s) for t in range(length)])
    return table


def cut(tensor):
    """Rows of numbers without the padding, which must be 0."""
    assert all((row[length:] == 0).all() for row, length in zip(tensor, LENGTHS, strict=True))
    return [row[:length].tolist() for row, length in zip(tensor, LENGTHS, strict=True)]


def test_token_advantages_equal_a_plain_loop_and_keep_their_mean():
    """What is located added to the advantage in place of moved, not scaled as the rewards are, or of another row."""
    rollouts, generator = make_rollouts(), torch.Generator().manual_seed(1)
    advantages = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    advantages[0, 1] = 0.0  # one that is at its group's mean: its group learns all the same
    for scale in (1.0, torch.tensor([[0.3], [2.5]], dtype=torch.float64)):
        scales = (torch.ones(2, 3) * scale).flatten().tolist()
        found = cut(token_advantages(advantages, scale, double_batch(rollouts)))
        for row, expected in zip(found, plain(advantages.flatten().tolist(), scales, rollouts), strict=True):
            assert row == pytest.approx(expected, rel=1e-12, abs=1e-12)
        uncredited = make_rollouts()
        for r in uncredited:
            r.token_weights = []
        kept = cut(token_advantages(advantages, scale, double_batch(uncredited)))
        assert [sum(row) / len(row) for row in kept] == pytest.approx(advantages.flatten().tolist(), abs=1e-12)
    assert len(set(kept[1] + kept[2])) == 6  # they do differ from token to token


def test_a_group_without_spread_stays_at_exactly_zero():
    """A group whose samples are all as good trained on where their losses stand; 0.7's round-off among them."""
    rollouts = make_rollouts([0.7] * 3 + [0.0, 1.0, 1.0])
    rewards = reward_table(rollouts)
    of_grpo, scale = grpo.group_advantages(rewards, "group")
    for advantages in (of_grpo, rloo.leave_one_out_advantages(rewards)):
        found = token_advantages(advantages, scale, make_batch(rollouts))
        assert (found[:3] == 0).all()
        assert (found[3:] != 0).any(dim=1).all()


def test_rollouts_that_locate_nothing_have_one_advantage_bit_for_bit():
    """An old run that cannot be reproduced: a last bit that changes with the detour over rows of zeros and ones."""
    rollouts = make_rollouts()
    for i, r in enumerate(rollouts):
        r.token_rewards, r.token_weights = ([], []) if i % 2 else ([0.0] * LENGTHS[i], [1.0] * LENGTHS[i])
    batch = make_batch(rollouts)
    advantages = torch.randn(2, 3, generator=torch.Generator().manual_seed(2))
    found = token_advantages(advantages, torch.tensor([[0.3], [0.7]]), batch)
    assert found.numpy().tobytes() == (advantages.flatten()[:, None] * batch.mask).numpy().tobytes()
    last = dense_rewards(rollouts)
    assert cut(last) == [[0.0] * (n - 1) + [reward] for n, reward in zip(LENGTHS, REWARDS, strict=True)]


@pytest.mark.parametrize("name", ["token_rewards", "token_weights"])
def test_a_row_of_another_length_is_an_error(name):
    """A row that is one token short: every number would stand at the wrong token."""
    wrong = [rollout(2), rollout(3, **{name: [0.5, 0.5]})]
    with pytest.raises(ValueError, match=f"prompt 0: {name}: 2 numbers for 3 tokens"):
        token_advantages(torch.ones(1, 2), 1.0, make_batch(wrong))
    with pytest.raises(ValueError, match=name):
        token_values(wrong, name, 0.0)


class FixedCritic:
    """Says 0.25 everywhere."""

    def __call__(self, *layout):
        return torch.full((6, 4), 0.25)

    def center(self, value):
        pass


class FixedLearner:
    """Stands in for the learner: a batch whose ratios are 1, and of an update the gradient in its log-probabilities."""

    def __init__(self):
        self.batch, self.critic = make_batch(make_rollouts()), FixedCritic()
        self.step, self.state, self.settings = 0, {}, SimpleNamespace(steps=1)
        self.new = self.batch.old_log_probs.clone().requires_grad_()

    def prepare(self, rollouts, sequence_weights=False):
        return self.batch

    def values(self, batch):
        return 0.25 * batch.mask

    def update(self, batch, loss, options, **_):
        self.step += 1
        value, _ = loss(self.new, batch, Totals(6, sum(LENGTHS), 4), options)
        (self.gradient,) = torch.autograd.grad(value, self.new)
        return {}


def run(algorithm, **options):
    learner = FixedLearner()
    algorithm.train(learner, lambda step: None, lambda batch, metrics: None, algorithm.Options(**options))
    return learner


def check_no_credit_no_gradient(learner):
    """Exactly none at tokens of credit 0."""
    gradient, seen = cut(learner.gradient), 0
    for i, r in enumerate(learner.batch.rollouts):
        for t, share in enumerate(r.token_weights):
            if share == 0:
                assert gradient[i][t] == 0
                seen += 1
    assert seen == 3


def close(found, expected):
    for row, numbers in zip(found, expected, strict=True):
        assert row == pytest.approx(numbers, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        (grpo, {"scale_rewards": "group"}),
        (grpo, {"scale_rewards": "batch"}),
        (grpo, {"scale_rewards": "none"}),
        (gspo, {"scale_rewards": "group", "ratio_level": "token"}),
        (rloo, {}),
    ],
)
def test_loops_of_groups_take_the_credit(algorithm, options):
    """An algorithm that forgets its divisor, or that smears a token's advantage over the whole row in its loss."""
    learner, first = run(algorithm, **options), REWARDS[:3]
    deviations = {"group": statistics.stdev(first) + 1e-4, "batch": statistics.stdev(REWARDS) + 1e-4, "none": 1.0}
    divisor = deviations[options.get("scale_rewards", "none")]
    leave_one_out = 1.5 if algorithm is rloo else 1.0  # G / (G - 1)
    advantages = [leave_one_out * (r - statistics.mean(first)) / divisor for r in first]
    flat = [[0.0] * length for length in LENGTHS[3:]]
    expected = plain(advantages, [divisor] * 3, learner.batch.rollouts[:3]) + flat
    close(cut(learner.batch.advantages), expected)
    weights = [1 / 6 / (1 if algorithm is rloo else length) for length in LENGTHS]
    close(cut(learner.gradient), [[-w * a for a in row] for w, row in zip(weights, expected, strict=True)])
    check_no_credit_no_gradient(learner)


def test_reinforce_takes_the_credit():
    """A group of equal rewards left out, though its rewards differ from the batch's mean, or a row's mean of credit."""
    learner = run(reinforce)
    advantages = [reward - statistics.mean(REWARDS) for reward in REWARDS]
    expected = plain(advantages, [1.0] * 6, learner.batch.rollouts)
    close(cut(learner.batch.advantages), expected)
    close(cut(learner.gradient), [[-a / 6 for a in row] for row in expected])
    check_no_credit_no_gradient(learner)


def test_at_sequence_level_gspo_averages_over_the_row():
    """What the documentation says of it: nothing is moved, and the mean of the shares is a factor."""
    learner = run(gspo)
    for r in learner.batch.rollouts:
        r.token_weights = []
    gradient = cut(run(gspo).gradient)
    for i, row in enumerate(cut(learner.batch.advantages)):
        assert gradient[i] == pytest.approx([-sum(row) / len(row) / len(row) / 6] * len(row), abs=1e-6)


@pytest.mark.parametrize("whiten", [False, True])
def test_ppo_takes_located_rewards_and_the_shares_of_advantages(whiten):
    """A part of the reward that is paid twice or not at all; shares taken before whitening, which then undoes them."""
    learner = run(ppo, gae_lambda=1.0, whiten=whiten)
    expected = []
    for r, row in zip(learner.batch.rollouts, cut(dense_rewards(learner.batch.rollouts)), strict=True):
        assert sum(row) == pytest.approx(r.reward, abs=1e-6)
        located = r.token_rewards or [0.0] * len(row)
        assert row[:-1] == located[:-1]
        # reward to go, less the value: what was located before t is no more to come
        expected.append([r.reward - sum(located[:t]) - 0.25 for t in range(len(row))])
    if whiten:
        real = [a for row in expected for a in row]
        expected = [[(a - statistics.mean(real)) / statistics.stdev(real) for a in row] for row in expected]
    credit = [r.token_weights or [1.0] * len(r.completion) for r in learner.batch.rollouts]
    expected = [[c * a for c, a in zip(*rows, strict=True)] for rows in zip(credit, expected, strict=True)]
    close(cut(learner.batch.advantages), expected)
    close(cut(learner.gradient), [[-a / sum(LENGTHS) for a in row] for row in expected])
    check_no_credit_no_gradient(learner)
