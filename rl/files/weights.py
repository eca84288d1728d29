"""Weights of a Hugging Face directory: `config.json` with `model.safetensors`, or with shards and their index."""

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rl.files.config import config_fields, read_config, read_json
from rl.model import Decoder


def load_model(directory, device="cpu", dtype: torch.dtype = torch.float32) -> Decoder:
    """The model of a directory. On the CPU, tensors that are stored in the wanted dtype are mapped, not copied.

    ValueError, one line: no weights, weights in pickles only, a tensor that is missing, unknown or of another shape, a
    damaged file.
    """
    directory, device = Path(directory), torch.device(device)
    config = read_config(directory)
    with torch.device("meta"):
        model = Decoder(config)
    expected = {name: parameter.shape for name, parameter in model.named_parameters()}
    where = _find_tensors(directory)
    # Old Llama files contain the RoPE frequencies; some tied checkpoints store the head a second time.
    names = {name for name in where if not name.endswith("rotary_emb.inv_freq")}
    tied_copy = config.tie_word_embeddings and "lm_head.weight" in names
    names -= {"lm_head.weight"} if tied_copy else set()
    if missing := sorted(expected.keys() - names):
        raise ValueError(f"{directory}: tensor {missing[0]} is missing ({len(missing)} missing in all)")
    if extra := sorted(names - expected.keys()):
        raise ValueError(f"{where[extra[0]]}: tensor {extra[0]} is not in a {config.model_type} model")

    tensors = {}
    for file in sorted(set(where.values())):
        with open_tensors(file) as stored:
            for name in expected:
                if where[name] == file:
                    tensor = _read_tensor(stored, file, name, expected[name])
                    tensors[name] = tensor.to(device=device, dtype=dtype)
    if tied_copy:
        file = where["lm_head.weight"]
        with open_tensors(file) as stored:
            head = _read_tensor(stored, file, "lm_head.weight", expected["model.embed_tokens.weight"])
        if not torch.equal(head.to(device=device, dtype=dtype), tensors["model.embed_tokens.weight"]):
            raise ValueError(f"{file}: lm_head.weight is not the embedding, though config.json ties them")
    model.load_state_dict(tensors, assign=True)
    return model


def _read_tensor(stored, file: Path, name: str, shape: torch.Size) -> Tensor:
    """A tensor of an open file. ValueError for another shape, or a number format that weights do not have."""
    tensor = stored.get_tensor(name)
    if tensor.shape != shape:
        raise ValueError(f"{file}: tensor {name} has shape {tuple(tensor.shape)}, config.json says {tuple(shape)}")
    if tensor.dtype not in (torch.bfloat16, torch.float16, torch.float32):
        raise ValueError(f"{file}: tensor {name} is {tensor.dtype}: weights are read in bf16, fp16 or fp32 only")
    return tensor


def _find_tensors(directory: Path) -> dict[str, Path]:
    """Name of each stored tensor -> its file."""
    single, index = directory / "model.safetensors", directory / "model.safetensors.index.json"
    if single.is_file():
        with open_tensors(single) as stored:
            return dict.fromkeys(stored.keys(), single)
    if not index.is_file():
        raise ValueError(_no_weights(directory))
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(file, str) for file in names.values()):
        raise ValueError(f"{index}: weight_map: an object of tensor name -> file is needed")
    where = {name: directory / file for name, file in names.items()}
    for file in sorted(set(where.values())):
        with open_tensors(file) as stored:
            stored_names = set(stored.keys())
        if absent := sorted(name for name in where if where[name] == file and name not in stored_names):
            raise ValueError(f"{file}: tensor {absent[0]} is missing, though {index.name} lists it")
    return where


def _no_weights(directory: Path) -> str:
    """The error for a directory without safetensors: how to convert pickles."""
    pickles = sorted(path.name for pattern in ("pytorch_model*", "consolidated*") for path in directory.glob(pattern))
    if not pickles:
        return f"{directory}: no weights: neither model.safetensors nor model.safetensors.index.json"
    convert = "AutoModelForCausalLM.from_pretrained(OLD).save_pretrained(NEW)"
    return (
        f"{directory}: weights only in pickles ({pickles[0]}), which can run code and are not loaded; if you trust them"
        f", make safetensors with transformers: {convert}, and copy the tokenizer's files"
    )


def open_tensors(path: Path):
    """A safetensors file, open for reading. ValueError if it is absent or damaged."""
    try:
        return safe_open(path, framework="pt")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file, or a damaged one: {error}") from error


def save_model(model: Decoder, directory, dtype: torch.dtype = torch.bfloat16, extra: dict | None = None) -> None:
    """Writes `config.json` and `model.safetensors`, for us and for transformers' AutoModelForCausalLM.

    A tied head is stored once. `extra` adds fields to config.json (eos_token_id, ...). ValueError for LoRA layers that
    are not merged.
    """
    directory, config = Path(directory), model.config
    tensors = {name: parameter.detach().to("cpu", dtype).contiguous() for name, parameter in model.named_parameters()}
    if adapters := [name for name in tensors if "lora_" in name]:
        raise ValueError(f"{directory}: cannot save a model with LoRA layers unmerged ({adapters[0]})")
    directory.mkdir(parents=True, exist_ok=True)
    fields = config_fields(config, str(dtype).removeprefix("torch.")) | (extra or {})
    (directory / "config.json").write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    # Replaces an older file instead of writing into it: a process may still have that one mapped.
    temporary = directory / "model.safetensors.tmp"
    save_file(tensors, temporary, metadata={"format": "pt"})
    os.replace(temporary, directory / "model.safetensors")
