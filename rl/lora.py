"""LoRA (Hu et al. 2021): W x + (alpha / r) B A x, where W is frozen and only A (r, in) and B (out, r) learn.

B starts at zero, so a model with fresh adapters computes exactly what it computed without. Adapters are
written and read in PEFT's file format, so `PeftModel.from_pretrained` takes ours and we take PEFT's.
"""

import json
import os
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rl.model import Decoder, open_tensors, read_json

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"


class LoRALinear(nn.Module):
    """A frozen nn.Linear and its low-rank correction. A and B stay fp32 (or wider) whatever the base's dtype:
    the updates of one step are smaller than what bf16 can resolve."""

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
    """Put an adapter on every linear layer of the kinds in `targets`, in place, and freeze all the rest.

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
            layer.lora_A.data.copy_(drawn)  # drawn on the CPU, so that a seed means the same on every device
            setattr(model.get_submodule(parent), kind, layer)


def lora_layers(model: nn.Module) -> dict[str, LoRALinear]:
    """Name of each adapted layer, as in `model.layers.0.self_attn.q_proj` -> the layer."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoRALinear)}


def lora_parameters(model: nn.Module) -> list[nn.Parameter]:
    """All A and B, in the order of the layers: what the optimizer gets. ValueError if there are none."""
    layers = lora_layers(model).values()
    if not layers:
        raise ValueError("the model has no LoRA layers: there would be nothing to train")
    return [parameter for layer in layers for parameter in (layer.lora_A, layer.lora_B)]


def share_base(model: Decoder) -> Decoder:
    """A second model over the very same base weights, without the adapter: a reference policy, a critic's backbone.

    It costs no memory until it is given an adapter of its own (`add_lora`, `load_adapter`). The weights are
    shared, so neither of the two may train them.
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
    """Fold every adapter into its weight, in place: plain nn.Linear again, and nothing is frozen any more."""
    for name, layer in lora_layers(model).items():
        parent, _, kind = name.rpartition(".")
        with torch.no_grad():
            layer.base.weight.copy_(merged_weight(layer))
        setattr(model.get_submodule(parent), kind, layer.base)
    model.requires_grad_(True)


# files, in PEFT's format -----------------------------------------------------------------------------------


def _stored_name(layer: str, part: str) -> str:
    # Without the prefix PEFT only warns, and leaves B at zero.
    return f"base_model.model.{layer}.{part}.weight"


def save_adapter(model: Decoder, directory, base_model: str) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors`; `base_model` names what lies beneath: a directory,
    or a repository of a hub, perhaps with its revision, "owner/name@commit".

    Each file appears whole or not at all, also when it replaces an older one.
    """
    directory, layers = Path(directory), lora_layers(model)
    if not layers:
        raise ValueError(f"{directory}: the model has no LoRA layers to save")
    first = next(iter(layers.values()))
    name, _, revision = (str(base_model), "", "") if Path(base_model).exists() else str(base_model).partition("@")
    kinds = {name.rpartition(".")[2] for name in layers}
    fields = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": name,
        "revision": revision or None,
        "r": first.rank,
        "lora_alpha": first.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": [kind for kind in TARGETS if kind in kinds],
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    tensors = {
        _stored_name(name, part): getattr(layer, part).detach().cpu().contiguous()
        for name, layer in layers.items()
        for part in ("lora_A", "lora_B")
    }
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / "tmp"
    temporary.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, directory / CONFIG_FILE)
    save_file(tensors, temporary, metadata={"format": "pt"})
    os.replace(temporary, directory / WEIGHTS_FILE)


def load_adapter(model: Decoder, directory) -> None:
    """Add the adapter of a PEFT directory to a plain model, ready to train on.

    Everything must fit: a tensor that is missing, left over or of another shape means that the adapter was
    made for another model. ValueError, one line with the field and the file; the model is then untouched.
    """
    config_path, weights_path = Path(directory) / CONFIG_FILE, Path(directory) / WEIGHTS_FILE
    rank, alpha, targets = _read_adapter_config(config_path)
    if lora_layers(model):
        raise ValueError(f"{directory}: the model already has LoRA layers: merge them first")
    with open_tensors(weights_path):
        tensors = load_file(weights_path)

    linears = {n: m for n, m in model.named_modules() if n.rpartition(".")[2] in targets}
    shapes = {}
    for name, linear in linears.items():
        shapes[_stored_name(name, "lora_A")] = (rank, linear.in_features)
        shapes[_stored_name(name, "lora_B")] = (linear.out_features, rank)
    if missing := sorted(shapes.keys() - tensors.keys()):
        raise ValueError(f"{weights_path}: tensor {missing[0]} is missing: an adapter for another model?")
    if extra := sorted(tensors.keys() - shapes.keys()):
        raise ValueError(f"{weights_path}: tensor {extra[0]} fits no layer: an adapter for another model?")
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape:
            found = tuple(tensors[name].shape)
            raise ValueError(f"{weights_path}: tensor {name} has shape {found}, the model needs {shape}")

    add_lora(model, rank, alpha, targets)
    with torch.no_grad():
        for name, layer in lora_layers(model).items():
            layer.lora_A.copy_(tensors[_stored_name(name, "lora_A")])
            layer.lora_B.copy_(tensors[_stored_name(name, "lora_B")])


def _read_adapter_config(path: Path) -> tuple[int, float, list[str]]:
    raw = read_json(path)

    def reject(field: str, why: str):
        raise ValueError(f"{path}: {field} = {json.dumps(raw.get(field))}: {why}")

    if raw.get("peft_type") != "LORA":
        reject("peft_type", "only LORA is supported")
    if raw.get("bias", "none") != "none":
        reject("bias", "only none is supported")
    unsupported = (
        "use_rslora",
        "use_dora",
        "fan_in_fan_out",
        "modules_to_save",
        "rank_pattern",
        "alpha_pattern",
        "lora_bias",
    )
    for field in (*unsupported, "layers_to_transform", "exclude_modules", "target_parameters"):
        if raw.get(field):
            reject(field, "not supported")
    rank, alpha, targets = raw.get("r"), raw.get("lora_alpha"), raw.get("target_modules")
    if type(rank) is not int or rank < 1:
        reject("r", "a positive int is needed")
    if type(alpha) not in (int, float) or not 0 < alpha < 1e12:
        reject("lora_alpha", "a positive number is needed")
    if not isinstance(targets, list) or not targets or not set(targets) <= set(TARGETS):
        reject("target_modules", f"a list of some of {', '.join(TARGETS)} is needed")
    return rank, alpha, targets
