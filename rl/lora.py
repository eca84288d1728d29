"""LoRA (Hu et al. 2021): W x + (alpha / r) B A x, where W is frozen and only A (r, in) and B (out, r) learn.

B starts at zero, so a model with fresh adapters computes exactly the same as without. rl/files/adapter.py reads and
writes adapters.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rl.model import Decoder

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def targets_of(names: str) -> tuple[str, ...]:
    """The kinds of layers in a text: "all", or names with commas between them."""
    return TARGETS if names == "all" else tuple(names.split(","))


class LoRALinear(nn.Module):
    """A frozen nn.Linear and its low-rank correction. A and B are fp32 (or wider) for any dtype of the base: bf16 is
    too coarse for the updates of one step."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float):
        super().__init__()
        self.base = base
        self.rank, self.alpha, self.scale = rank, alpha, alpha / rank
        like = {"device": base.weight.device, "dtype": torch.promote_types(base.weight.dtype, torch.float32)}
        self.lora_A = nn.Parameter(torch.empty(rank, base.in_features, **like))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank, **like))

    def forward(self, x: Tensor) -> Tensor:
        out = self.base(x)
        low = F.linear(x.to(self.lora_A.dtype), self.lora_A)  # (..., R)
        return out + (self.scale * F.linear(low, self.lora_B)).to(out.dtype)


def add_lora(model: Decoder, rank: int, alpha: float, targets=TARGETS, seed: int = 0) -> None:
    """Puts an adapter on every linear layer of the kinds in `targets`, in place, and freezes the rest.

    A is uniform in +-1/sqrt(in) (Kaiming with a = sqrt(5), as in PEFT), drawn from `seed`; B is zero.
    """
    if rank < 1:
        raise ValueError(f"LoRA rank = {rank}: at least 1 is needed")
    if unknown := sorted(set(targets) - set(TARGETS)) or not targets:
        raise ValueError(f"LoRA targets = {list(targets)}: {unknown or 'none'}; known are {', '.join(TARGETS)}")
    if lora_layers(model):
        raise ValueError("the model already has LoRA layers: merge them first")
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name, linear in list(model.named_modules()):
        parent, _, kind = name.rpartition(".")
        if kind in targets:
            layer = LoRALinear(linear, rank, alpha)
            bound = linear.in_features**-0.5
            drawn = torch.empty(layer.lora_A.shape).uniform_(-bound, bound, generator=generator)
            layer.lora_A.data.copy_(drawn)  # drawn on the CPU: a seed gives the same on every device
            setattr(model.get_submodule(parent), kind, layer)


def lora_layers(model: nn.Module) -> dict[str, LoRALinear]:
    """Name of each adapted layer, such as `model.layers.0.self_attn.q_proj` -> the layer."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoRALinear)}


def lora_parameters(model: nn.Module) -> list[nn.Parameter]:
    """All A and B, in the order of the layers, for the optimizer. ValueError if there are none."""
    layers = lora_layers(model).values()
    if not layers:
        raise ValueError("the model has no LoRA layers: there would be nothing to train")
    return [parameter for layer in layers for parameter in (layer.lora_A, layer.lora_B)]


def share_base(model: Decoder) -> Decoder:
    """A second model on the same base weights in memory, without the adapter: a reference policy, a critic's backbone.

    It takes no memory until it gets its own adapter. Neither of the two may train the shared weights.
    """
    with torch.device("meta"):
        other = Decoder(model.config)
    base = {name.replace(".base.", "."): p for name, p in model.named_parameters() if ".lora_" not in name}
    other.load_state_dict(base, assign=True)
    return other.requires_grad_(False)


def merged_weight(linear: nn.Module) -> Tensor:
    """W + (alpha / r) B A in W's dtype for an adapted layer, else W itself. (out, in)"""
    if not isinstance(linear, LoRALinear):
        return linear.weight
    weight = linear.base.weight
    return (weight + linear.scale * (linear.lora_B @ linear.lora_A)).to(weight.dtype)


def merge_lora(model: Decoder) -> None:
    """Adds every adapter to its weight, in place: the layers are plain nn.Linear again, and nothing is frozen."""
    for name, layer in lora_layers(model).items():
        parent, _, kind = name.rpartition(".")
        with torch.no_grad():
            layer.base.weight.copy_(merged_weight(layer))
        setattr(model.get_submodule(parent), kind, layer.base)
    model.requires_grad_(True)
