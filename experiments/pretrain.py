"""Makes the embedded base checkpoint: `python experiments/pretrain.py` writes data/tiny/.

It trains a byte-level BPE tokenizer on the corpus (data/embedded/corpus.py, flawed on purpose), then a small decoder of
Qwen3's shape. With one thread, the same seed gives the same files on the same machine.

With --start and --data it trains all weights of a checkpoint on the solutions, safe and unsafe, of other problems. The
base of the security experiments:

    python experiments/pretrain.py --start data/tiny --data security --epochs 20 --threads 1 --out security-base
"""

import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from tqdm import tqdm

from data.embedded.corpus import write_examples
from data.prompts import build_prompt
from data.sets.registry import load_problems
from experiments.inputs.hub import EMBEDDED, checkpoint_path
from experiments.inputs.memory import check_room
from experiments.options import bad_input_is_one_line, option, parse
from experiments.setup import use_threads
from rl.files.config import read_config
from rl.files.weights import load_model, save_model
from rl.model import Decoder, ModelConfig, init_model, pad_right

END = "<|endoftext|>"  # token 0: end of sequence, and padding for libraries

# No token crosses the border of two pieces. Digits and quotes are pieces of their own, so a number or a letter has the
# same tokens in the request ("the letter 's'") and in the code (`ch == 's'`). Indentation belongs to its line break.
PIECES = r"\d| ?'| ?[A-Za-z_]+| ?[^\sA-Za-z0-9_']+|\n *|\s+"


@dataclass
class PretrainOptions:
    out: str = option(EMBEDDED, "directory to write")
    start: str = option("", "checkpoint to go on from, with its tokenizer; otherwise a new one")
    data: str = option("", "learn this source's train problems ('security' or a file), not the corpus", "corpus")
    epochs: int = option(1, "passes over the corpus or the problems", "corpus", least=1)
    examples: int = option(64_000, "worked examples in the corpus", "corpus", least=1)
    vocabulary: int = option(1024, "tokens of the byte-level BPE", "corpus", least=300)
    width: int = option(128, "hidden size, a multiple of 64", "model")
    layers: int = option(4, "decoder layers", "model", least=1)
    batch_tokens: int = option(2000, "tokens an optimizer step", "training", least=1)
    lr: float = option(4e-3, "peak learning rate of AdamW (embedding, norms)", "training")
    muon_lr: float = option(0.02, "peak learning rate of Muon (weight matrices)", "training")
    prompt_weight: float = option(0.05, "weight of the prompt's own tokens in the loss", "training")
    threads: int = option(2, "torch threads")
    seed: int = option(0, "seeds corpus, weights and batch order")


def train_tokenizer(texts: list[str], vocabulary: int) -> Tokenizer:
    """Byte-level BPE within PIECES."""
    tokenizer = Tokenizer(models.BPE())
    pieces = pre_tokenizers.Split(Regex(PIECES), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pieces, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, directory: Path) -> None:
    """tokenizer.json, tokenizer_config.json and generation_config.json in Hugging Face layout."""
    tokenizer.save(str(directory / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "pad_token": END}
    config |= {"clean_up_tokenization_spaces": False, "model_max_length": 256}
    generation = {"eos_token_id": 0, "pad_token_id": 0, "do_sample": True, "temperature": 1.0}
    for name, fields in (("tokenizer_config.json", config), ("generation_config.json", generation)):
        (directory / name).write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")


def make_batches(examples: list[tuple[list[int], list[int]]], tokens: int, rng: Random) -> list[list]:
    """Batches of about `tokens` tokens, in random order. Examples of a batch have similar lengths."""
    shuffled = list(examples)
    rng.shuffle(shuffled)
    batches = []
    for start in range(0, len(shuffled), 1024):  # sorting within a pool only leaves every batch a mix of families
        pool = sorted(shuffled[start : start + 1024], key=lambda example: len(example[0]) + len(example[1]))
        batch, size = [], 0
        for example in pool:
            batch.append(example)
            size += len(example[0]) + len(example[1])
            if size >= tokens:
                batches.append(batch)
                batch, size = [], 0
        if batch:
            batches.append(batch)
    rng.shuffle(batches)
    return batches


def batch_loss(model, batch: list, prompt_weight: float) -> tuple[torch.Tensor, float]:
    """Mean cross-entropy in nats a token, prompt tokens with weight `prompt_weight`; and that of completions alone."""
    ids, lengths = pad_right([prompt + completion for prompt, completion in batch])  # (B, T), (B,)
    prompts = torch.tensor([len(prompt) for prompt, _ in batch])  # (B,)
    hidden = model(ids, lengths)[:, :-1]  # (B, T-1, D): position t predicts token t + 1
    target = torch.arange(1, ids.shape[1])[None]  # (1, T-1): the predicted position
    real = target < lengths[:, None]  # (B, T-1)
    in_completion = (target >= prompts[:, None])[real]  # (M,)
    loss = F.cross_entropy(model.logits(hidden[real]), ids[:, 1:][real], reduction="none")  # (M,)
    weight = torch.where(in_completion, 1.0, prompt_weight)
    return (loss * weight).sum() / weight.sum(), loss[in_completion].mean().item()


def learning_rate(step: int, steps: int, peak: float, warmup: int = 60) -> float:
    """Linear warm-up, the peak until half of the steps, then a cosine down to 2 % of the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    if step < steps / 2:
        return peak
    done = (step - steps / 2) / (steps / 2)
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def read_texts(options: PretrainOptions) -> list[tuple[str, str]]:
    """(prompt, completion) pairs: the corpus, or each problem with each of its solutions."""
    if not options.data:
        examples = write_examples(options.examples, options.seed)
        return list(tqdm(examples, total=options.examples, desc="corpus", unit="ex"))
    problems = load_problems(options.data, "train")
    return [(build_prompt(p), solution.rstrip()) for p in problems for solution in (p.code, p.unsafe) if solution]


def make_model(options: PretrainOptions, texts: list[tuple[str, str]]) -> tuple[Decoder, Tokenizer]:
    """The checkpoint of --start, or new weights and a tokenizer trained on the texts."""
    if options.start:
        directory = checkpoint_path(options.start)
        check_room(directory, read_config(directory), torch.device("cpu"), torch.float32)
        model = load_model(directory)
        if not (directory / "tokenizer.json").is_file():
            raise ValueError(f"--start {options.start}: no tokenizer.json")
        return model, Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer = train_tokenizer([prompt + completion for prompt, completion in texts[:20_000]], options.vocabulary)
    config = ModelConfig(
        model_type="qwen3",
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=options.width,
        intermediate_size=3 * options.width,
        num_hidden_layers=options.layers,
        num_attention_heads=options.width // 32,
        num_key_value_heads=options.width // 64,
        head_dim=32,
        rope_theta=10_000.0,
        tie_word_embeddings=True,
        max_position_embeddings=256,
    )
    return init_model(config, options.seed), tokenizer


def pretrain(options: PretrainOptions, texts: list[tuple[str, str]], model: Decoder, tokenizer: Tokenizer) -> None:
    """Trains on the texts and writes the checkpoint."""
    started, end = time.time(), tokenizer.token_to_id(END)
    prompts = [encoding.ids for encoding in tokenizer.encode_batch([prompt for prompt, _ in texts])]
    completions = [encoding.ids + [end] for encoding in tokenizer.encode_batch([completion for _, completion in texts])]
    examples = list(zip(prompts, completions, strict=True))
    for name, ids in (("prompts", prompts), ("completions", completions)):
        total, longest = sum(map(len, ids)), max(map(len, ids))
        print(f"{len(ids)} {name}: {total / 1e6:.2f} M tokens, mean {total / len(ids):.1f}, longest {longest}")
    rng = Random(options.seed)
    batches = [batch for _ in range(options.epochs) for batch in make_batches(examples, options.batch_tokens, rng)]
    train(model, batches, options)
    out = checkpoint_path(options.out)
    fields = {"eos_token_id": end, "pad_token_id": end, "bos_token_id": None, "prompt": "docstring"}
    save_model(model, out, extra=fields)
    save_tokenizer(tokenizer, out)
    size = sum(file.stat().st_size for file in out.iterdir()) / 1e6
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    print(f"{out}: {parameters:.2f} M parameters, {size:.1f} MB, {time.time() - started:.0f} s")


class Muon(torch.optim.Optimizer):
    """Momentum with an orthogonalized update, for weight matrices (Jordan et al. 2024, "Muon"; in torch from 2.9 on).

    On 1.2 M tokens of this corpus it reached a completion loss of 0.28 nats a token, AdamW 0.36.
    """

    def __init__(self, parameters, momentum: float = 0.95):
        super().__init__(parameters, {"lr": 0.0, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                average = state.setdefault("average", torch.zeros_like(parameter))
                average.lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(average, group["momentum"])  # Nesterov's look ahead
                rows, columns = parameter.shape
                parameter.add_(orthogonalize(ahead), alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)


def orthogonalize(matrix: torch.Tensor) -> torch.Tensor:
    """About U V' of the singular value decomposition U S V': five Newton-Schulz steps move S towards 1."""
    a, b, c = 3.4445, -4.7750, 2.0315  # of the Muon authors; S ends within 0.7 .. 1.2
    x = matrix / (matrix.norm() + 1e-7)
    x = x.T if len(x) > x.shape[1] else x
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if len(matrix) > matrix.shape[1] else x


def train(model, batches: list[list], options: PretrainOptions) -> None:
    """One step for each batch: Muon for the matrices of the layers, AdamW for embedding and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers = (
        (Muon(matrices), options.muon_lr),
        (torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.05), options.lr),
    )
    bar, smooth = tqdm(enumerate(batches), total=len(batches), desc="pretrain", unit="step"), None
    for step, batch in bar:
        for optimizer, peak in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, len(batches), peak)
        loss, completion_loss = batch_loss(model, batch, options.prompt_weight)
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, _ in optimizers:
            optimizer.step()
        smooth = completion_loss if smooth is None else 0.98 * smooth + 0.02 * completion_loss
        if step % 20 == 0:
            bar.set_postfix(loss=f"{smooth:.3f}")


def main(arguments: list[str] | None = None) -> int:
    options = parse(PretrainOptions, arguments, "pretrain.py", __doc__.split("\n")[0])
    with bad_input_is_one_line("pretrain.py"):
        if options.width < 64 or options.width % 64:
            raise ValueError(f"--width {options.width}: needs to be a multiple of 64")
        use_threads(options.threads, options.width)
        torch.manual_seed(options.seed)
        texts = read_texts(options)
        model, tokenizer = make_model(options, texts)
    pretrain(options, texts, model, tokenizer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
