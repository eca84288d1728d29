"""Decoding in steps of fixed shapes, which a CUDA graph replays.

A step of `GroupDecoder` starts hundreds of small kernels, and on a GPU most of its time goes into starting them. Here
every step does the very same: it reads its token and its position from buffers, writes keys and values at the place
that a tensor names, and looks at the whole width of the cache, where a mask hides what is not written yet. So the
kernels of one step can be recorded once (`record`) and be started again at every token by a single call.

The price: attention to the row's own tokens costs the whole budget T from the first token on; rows leave only when
half of the batch has ended, for each other batch size is recorded anew (about the time of a few unrecorded steps); and
a row may go on for up to LOOK_EVERY - 1 tokens behind its end, which nobody reads, as asking the GPU after every token
would make it wait. Results are those of GroupDecoder, up to rounding.

Without CUDA the same step runs unrecorded, and slower than GroupDecoder's: that is for tests.
"""

from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor

from rl.decoding import FusedBlock, SharedPrompts
from rl.model import Decoder, Prefix, rope_frequencies, rope_tables


class StaticDecoder:
    """What GroupDecoder is, in steps that can be recorded."""

    LOOK_EVERY = 8
    COMPACT_BELOW = 0.5

    def __init__(self, model: Decoder, blocks: list[FusedBlock], prefix: Prefix, prompt_of_row: Tensor, steps: int):
        config, device, rows = model.config, model.device, len(prompt_of_row)
        self.model, self.blocks, self.prompts = model, blocks, SharedPrompts(config, prefix)
        self.prompt_of_row, self.t = prompt_of_row, 0
        self.frequencies = rope_frequencies(config, device)
        self.prompts.place(prompt_of_row)
        # What a step reads, beside the weights and the prompts. Nothing of it may be another tensor at the next step.
        self.now = torch.zeros(1, dtype=torch.int64, device=device)  # the place of the new token among the row's own
        self.token = torch.zeros(rows, dtype=torch.int64, device=device)  # (B,)
        self.offset = prefix.lengths[prompt_of_row]  # (B,), the prompt's length
        self.places = torch.arange(steps, device=device)  # (T,)
        # Zeros, as a hidden place still takes part in the product with the weights of attention, and 0 * nan is nan.
        shape = (rows, config.num_key_value_heads, steps, config.head_dim)
        self.keys = [torch.zeros(shape, dtype=model.dtype, device=device) for _ in blocks]  # L x (B, K, T, Dh)
        self.values = [torch.zeros(shape, dtype=model.dtype, device=device) for _ in blocks]  # L x (B, K, T, Dh)
        self.recorded = device.type == "cuda"
        self.replay: Callable[[], Tensor] | None = None  # the recorded step; None: not recorded yet

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows of the batch only. (B',) int64. The next step is recorded anew."""
        self.replay = None  # first of all, as it uses the memory of the tensors that are replaced here
        self.prompt_of_row, self.token, self.offset = self.prompt_of_row[rows], self.token[rows], self.offset[rows]
        for i in range(len(self.blocks)):  # one by one, so that a single layer's cache is there twice
            self.keys[i], self.values[i] = self.keys[i][rows], self.values[i][rows]
        self.prompts.place(self.prompt_of_row)

    def step(self, token: Tensor) -> Tensor:
        """Put one token (B,) behind each row; logits (B, V) of the next, which the next step writes over."""
        self.token.copy_(token)
        self.now.fill_(self.t)
        self.t += 1
        if not self.recorded:
            return self._step()
        if self.replay is None:
            self.replay = record(self._step)
        return self.replay()

    def _step(self) -> Tensor:
        """The recorded part: no branch on a tensor's value, no look at one, no tensor replaced."""
        x = self.model.model.embed_tokens(self.token)  # (B, D)
        rope = rope_tables(self.offset + self.now, self.frequencies, x.dtype)
        unseen = self.places > self.now  # (T,)
        for i, block in enumerate(self.blocks):
            x = block.step(x, rope, partial(self._attend, i, unseen))
        return self.model.logits(self.model.model.norm(x))

    def _attend(self, i: int, unseen: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = self.keys[i], self.values[i]
        keys.index_copy_(2, self.now, k[:, :, None])
        values.index_copy_(2, self.now, v[:, :, None])
        return self.prompts.attend(i, q, keys.flatten(0, 1).mT, values.flatten(0, 1), unseen)


def record(work: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Kernels of `work` as a CUDA graph: what is returned runs them again on the same memory.

    The returned function always returns the one tensor that the recorded kernels write. That tensor and all in between
    lie in memory of the graph's own, which lives as long as the function; what `work` reads must be kept alive by
    the caller, at the same addresses.
    """
    # Recording cannot load kernels nor set up libraries, so `work` is run before, and apart, as PyTorch's notes on CUDA
    # graphs ask. It must bear being run several times on the same input.
    beside = _stream_for_recording()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(2):
            work()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=beside):
        out = work()  # recorded, not run

    def replay() -> Tensor:
        graph.replay()
        return out

    return replay


@cache
def _stream_for_recording() -> torch.cuda.Stream:
    """One for all recordings: cuBLAS keeps some 32 MB of working memory for each stream that it was used on."""
    return torch.cuda.Stream()
