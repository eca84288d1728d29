"""Decoding in steps of fixed shapes, which a CUDA graph replays.

A step of `GroupDecoder` launches hundreds of small kernels; on a GPU most of its time is launch time. Here every step
launches the same kernels: it reads token and position from buffers, writes keys and values at the place given by a
tensor, and attends to the whole cache, where a mask hides empty places. So a step is recorded once (`record`) and
replayed with a single call.

Costs: attention to the row's own tokens always costs the whole budget T. Rows leave only when half of the batch has
ended, as each new batch size is recorded again. A row may run up to LOOK_EVERY - 1 tokens past its end, as checking
after every token would stall the GPU. Results equal GroupDecoder's up to rounding.

Without CUDA the same step runs unrecorded, slower than GroupDecoder's: for tests.
"""

from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor

from rl.decoding import FusedBlock, SharedPrompts
from rl.model import Decoder, Prefix, rope_frequencies, rope_tables


class StaticDecoder:
    """GroupDecoder with steps that can be recorded."""

    LOOK_EVERY = 8
    COMPACT_BELOW = 0.5

    def __init__(self, model: Decoder, blocks: list[FusedBlock], prefix: Prefix, prompt_of_row: Tensor, steps: int):
        config, device, rows = model.config, model.device, len(prompt_of_row)
        self.model, self.blocks, self.prompts = model, blocks, SharedPrompts(config, prefix)
        self.prompt_of_row, self.t = prompt_of_row, 0
        self.frequencies = rope_frequencies(config, device)
        self.prompts.place(prompt_of_row)
        # Buffers that a step reads. They must stay the same tensors from step to step.
        self.now = torch.zeros(1, dtype=torch.int64, device=device)  # index of the new token among the row's own
        self.token = torch.zeros(rows, dtype=torch.int64, device=device)  # (B,)
        self.offset = prefix.lengths[prompt_of_row]  # (B,), the prompt's length
        self.places = torch.arange(steps, device=device)  # (T,)
        # Zeros: hidden places are multiplied by a weight of 0, and 0 * nan is nan.
        shape = (rows, config.num_key_value_heads, steps, config.head_dim)
        self.keys = [torch.zeros(shape, dtype=model.dtype, device=device) for _ in blocks]  # L x (B, K, T, Dh)
        self.values = [torch.zeros(shape, dtype=model.dtype, device=device) for _ in blocks]  # L x (B, K, T, Dh)
        self.recorded = device.type == "cuda"
        self.replay: Callable[[], Tensor] | None = None  # the recorded step; None: not recorded yet

    def keep(self, rows: Tensor) -> None:
        """Continues with these rows only. (B',) int64. The next step is recorded again."""
        self.replay = None  # first: it uses the memory of the tensors that are replaced here
        self.prompt_of_row, self.token, self.offset = self.prompt_of_row[rows], self.token[rows], self.offset[rows]
        for i in range(len(self.blocks)):  # one by one: only one layer's cache exists twice at a time
            self.keys[i], self.values[i] = self.keys[i][rows], self.values[i][rows]
        self.prompts.place(self.prompt_of_row)

    def step(self, token: Tensor) -> Tensor:
        """Appends one token (B,) to each row; logits (B, V) of the next. The next step overwrites them."""
        self.token.copy_(token)
        self.now.fill_(self.t)
        self.t += 1
        if not self.recorded:
            return self._step()
        if self.replay is None:
            self.replay = record(self._step)
        return self.replay()

    def _step(self) -> Tensor:
        """The recorded part: reads no tensor's value on the CPU, replaces no tensor."""
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
    """Records the kernels of `work` as a CUDA graph; the returned function replays them on the same memory.

    It always returns the same tensor, which the kernels overwrite. The graph owns it and all intermediate tensors.
    The caller must keep the inputs of `work` alive at their addresses.
    """
    # Recording cannot load kernels or initialise libraries, so `work` runs before on a side stream (PyTorch's notes on
    # CUDA graphs). It must give the same when it runs several times on the same input.
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
    """One for all recordings: cuBLAS keeps about 32 MB of working memory per stream."""
    return torch.cuda.Stream()
