"""LoRA adapters in PEFT's file format: `PeftModel.from_pretrained` takes ours, and we take PEFT's."""

import json
import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from rl.files.config import read_json
from rl.files.weights import open_tensors
from rl.lora import TARGETS, add_lora, lora_layers
from rl.model import Decoder

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"


def _stored_name(layer: str, part: str) -> str:
    # Without the prefix PEFT only warns and leaves B at zero.
    return f"base_model.model.{layer}.{part}.weight"


def save_adapter(model: Decoder, directory, base_model: str) -> None:
    """Writes `adapter_config.json` and `adapter_model.safetensors`. `base_model` names the base: a directory, or a
    repository of a hub, with or without its revision ("owner/name@commit").

    Each file is written whole or not at all, also when it replaces an older one.
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
    """Adds the adapter of a PEFT directory to a plain model.

    A tensor that is missing, left over or of another shape means that the adapter belongs to another model. ValueError,
    one line with field and file; the model is then unchanged.
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
