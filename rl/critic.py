"""The critic: the expected return from each token on, as a linear head on a decoder's hidden states.

    V(q, o_<t) = w . h_t / sqrt(D) + b,     h_t: the hidden state from which token t is predicted, D wide

Adam moves every weight by about the learning rate; without the root, V would move by D times that.

The decoder is the policy's frozen base, shared in memory. One of three things is learned:

    linear   the head alone: no gradient through the decoder
    lora     the head and an adapter of its own, apart from the policy's
    copy     the head and a whole copy of the base (arXiv 2605.21180)
"""

import copy

import torch
from torch import Tensor, nn

from rl.logprobs import completion_hidden
from rl.lora import add_lora, share_base
from rl.model import Decoder

KINDS = ("linear", "lora", "copy")


class Critic(nn.Module):
    def __init__(self, policy: Decoder, kind: str, rank: int = 8, alpha: float = 16.0, seed: int = 0):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"critic: unknown kind {kind!r}; there are {', '.join(KINDS)}")
        self.kind, self.backbone = kind, share_base(policy)
        if kind == "lora":
            add_lora(self.backbone, rank, alpha, seed=seed)
        dtype = torch.promote_types(policy.dtype, torch.float32)  # bf16 is too coarse for the updates of one step
        if kind == "copy":
            self.backbone = copy.deepcopy(self.backbone).to(dtype).requires_grad_(True)
            if self.backbone.lm_head is not None:
                self.backbone.lm_head.requires_grad_(False)  # a critic uses hidden states only
        # Zero: all states have the same value at the start.
        self.head = nn.Linear(policy.config.hidden_size, 1, device=policy.device, dtype=dtype)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, prompts: list[list[int]], prompt_of_row: list[int], completions: list[list[int]]) -> Tensor:
        """The value of the state before each completion token, (B, T), with gradient; see `completion_hidden`."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.kind != "linear"):
            hidden, _, _ = completion_hidden(self.backbone, prompts, prompt_of_row, completions)  # (B, T, D)
        return self.head(hidden.to(self.head.weight.dtype) / hidden.shape[-1] ** 0.5).squeeze(-1)

    def center(self, value: float) -> None:
        """Adds a constant to all values: a critic that starts at the mean return has only differences to learn."""
        with torch.no_grad():
            self.head.bias += value


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float | None:
    """1 - Var(returns - values) / Var(returns) over the real tokens: 1 is perfect, 0 a constant critic. None if the
    returns differ by round-off only."""
    values, returns = values[mask.bool()], returns[mask.bool()]
    if float(returns.std()) <= 1e-5 * (1 + float(returns.abs().max())):
        return None
    return float(1 - (returns - values).var() / returns.var())
