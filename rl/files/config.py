"""Reads and writes `config.json`, and refuses models that we do not compute.

An ignored field could change the model (a sliding window, a scaled RoPE, a bias), and its output would be nonsense that
looks right. So each field is implemented, required to be the default (NEUTRAL), or irrelevant (HARMLESS). Any other
field is an error that names it.
"""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import NoReturn

from rl.model import ModelConfig, RopeScaling

ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}

NEUTRAL = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "attention_dropout": 0,
    "pretraining_tp": 1,
    "partial_rotary_factor": 1,
    "use_mrope": False,
    "rope_interleaved": False,
    "is_encoder_decoder": False,
    "add_cross_attention": False,
}

HARMLESS = {
    *("_name_or_path", "transformers_version", "torch_dtype", "dtype", "tokenizer_class"),
    *("_attn_implementation_autoset", "unsloth_version", "unsloth_fixed", "is_llama_config", "transformers.js_config"),
    *("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id"),
    *("initializer_range", "use_cache", "output_attentions", "output_hidden_states", "return_dict"),
    "max_window_layers",  # which layers have a sliding window, if the model has one
    "prompt",  # ours: how problems are put to the model
}


# reading ---------------------------------------------------------------------------------------------------


def read_config(directory) -> ModelConfig:
    """Reads `directory/config.json`. ValueError, one line, names the file and the field that we do not compute."""
    path = Path(directory) / "config.json"
    raw = {field: value for field, value in read_json(path).items() if value is not None}  # null means absent
    family = raw.get("model_type")
    if not isinstance(family, str) or family not in ARCHITECTURES:
        _reject(path, "model_type", family, f"not supported; known are {', '.join(ARCHITECTURES)}")
    _check_fields(path, raw)

    heads, width = _number(path, raw, "num_attention_heads"), _number(path, raw, "hidden_size")
    # Only Llama has defaults that follow from other fields.
    llama = family == "llama"
    if "head_dim" not in raw and family != "qwen3" and width % heads:
        _reject(path, "num_attention_heads", heads, f"does not divide hidden_size = {width}, and there is no head_dim")
    head_dim = _number(path, raw, "head_dim", None if family == "qwen3" else width // heads)
    kv_heads = _number(path, raw, "num_key_value_heads", heads if llama else None)
    if heads % kv_heads:
        _reject(path, "num_key_value_heads", kv_heads, f"does not divide num_attention_heads = {heads}")
    if head_dim % 2:
        _reject(path, "head_dim", head_dim, "RoPE needs an even number")
    tied = raw.get("tie_word_embeddings", False)
    if not isinstance(tied, bool):
        _reject(path, "tie_word_embeddings", tied, "true or false is needed")
    theta, scaling = _read_rope(path, raw)

    return ModelConfig(
        model_type=family,
        vocab_size=_number(path, raw, "vocab_size"),
        hidden_size=width,
        intermediate_size=_number(path, raw, "intermediate_size"),
        num_hidden_layers=_number(path, raw, "num_hidden_layers"),
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head_dim,
        rope_theta=theta,
        rms_norm_eps=_number(path, raw, "rms_norm_eps", 1e-6, float),
        tie_word_embeddings=tied,
        max_position_embeddings=_number(path, raw, "max_position_embeddings", 2048 if llama else None),
        rope_scaling=scaling,
    )


def _check_fields(path: Path, raw: dict) -> None:
    """ValueError for a field that is unknown, or whose value makes a model that we do not compute."""
    for field, neutral in NEUTRAL.items():
        if field in raw and raw[field] != neutral:
            _reject(path, field, raw[field], f"not supported; only {json.dumps(neutral)} is")
    if "quantization_config" in raw:
        _reject(path, "quantization_config", raw["quantization_config"], "weights are read in bf16, fp16 or fp32 only")
    if raw.get("use_sliding_window", False) is not False:
        _reject(path, "use_sliding_window", raw["use_sliding_window"], "sliding windows are not supported")
    if "sliding_window" in raw and "use_sliding_window" not in raw:  # Qwen gives a width even if it uses none
        why = "sliding windows are not supported; add use_sliding_window = false if it is not used"
        _reject(path, "sliding_window", raw["sliding_window"], why)
    layers = raw.get("layer_types", [])
    if not isinstance(layers, list) or any(kind != "full_attention" for kind in layers):
        _reject(path, "layer_types", layers, "only full_attention is supported")
    wanted = ARCHITECTURES[raw["model_type"]]
    if raw.get("architectures", [wanted]) != [wanted]:
        _reject(path, "architectures", raw["architectures"], f"only {wanted} is supported for this model_type")
    implemented = {field.name for field in fields(ModelConfig)} | {"rope_parameters", "architectures", "layer_types"}
    checked = {"quantization_config", "use_sliding_window", "sliding_window", *NEUTRAL}
    for field in sorted(raw.keys() - implemented - checked - HARMLESS):
        why = "an unknown field, which may change what the model computes; if it does not, delete it from the file"
        _reject(path, field, raw[field], why)


def _read_rope(path: Path, raw: dict) -> tuple[float, RopeScaling | None]:
    """RoPE's base and scaling. transformers 5 writes one object, `rope_parameters`; version 4 writes the field
    `rope_theta`, and with scaling an object `rope_scaling`."""
    found = {}  # field -> (theta, scaling)
    for field in ("rope_parameters", "rope_scaling"):
        if field in raw:
            found[field] = _read_rope_object(path, field, raw[field], raw.get("rope_theta", 10000.0))
    if len(set(found.values())) > 1:
        raise ValueError(f"{path}: rope_parameters and rope_scaling say different things; delete the one that is wrong")
    if not found:
        return _number(path, raw, "rope_theta", 10000.0, float), None
    field, (theta, scaling) = found.popitem()
    if "rope_theta" in raw and raw["rope_theta"] != theta:
        _reject(path, "rope_theta", raw["rope_theta"], f"{field} says {theta}; delete the one that is wrong")
    return theta, scaling


def _read_rope_object(path: Path, field: str, rope: object, theta: object) -> tuple[float, RopeScaling | None]:
    """The base and scaling of one object; `theta` is the base if the object has none."""
    if not isinstance(rope, dict):
        _reject(path, field, rope, "a JSON object is needed")
    rope = {name: value for name, value in rope.items() if value is not None}
    kind = rope.get("rope_type", rope.get("type", "default"))
    needed = {
        "default": (),
        "linear": ("factor",),
        "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    }
    if not isinstance(kind, str) or kind not in needed or rope.get("type", kind) != kind:
        _reject(path, field, rope, f"rope_type {json.dumps(kind)} is not supported; known are {', '.join(needed)}")
    if rope.pop("partial_rotary_factor", 1) != 1:
        _reject(path, field, rope, "partial_rotary_factor is not supported")
    if unknown := sorted(rope.keys() - {"rope_type", "type", "rope_theta", *needed[kind]}):
        _reject(path, field, rope, f"{unknown[0]} is not known of rope_type {kind}")

    where = f"{field}: "
    base = _number(path, {"rope_theta": theta} | rope, "rope_theta", None, float, where if "rope_theta" in rope else "")
    if kind == "default":
        return base, None
    factors = {name: _number(path, rope, name, None, float, where) for name in needed[kind]}
    if factors["factor"] < 1:
        _reject(path, field, rope, "a factor of at least 1 is needed")
    if kind == "llama3":
        name = "original_max_position_embeddings"
        factors[name] = _number(path, rope, name, None, int, where)
        if factors["low_freq_factor"] >= factors["high_freq_factor"]:
            _reject(path, field, rope, "low_freq_factor has to be below high_freq_factor")
    return base, RopeScaling(kind, **factors)


def _number(path: Path, raw: dict, field: str, default=None, kind: type = int, where: str = ""):
    """A positive number; `where` names the object that contains the field."""
    value = raw.get(field, default)
    allowed = int if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, allowed) or not 0 < value < 1e12:
        _reject(path, where + field, value, f"a positive {kind.__name__} is needed")
    return kind(value)


def _reject(path: Path, field: str, value: object, why: str) -> NoReturn:
    shown = json.dumps(value)
    raise ValueError(f"{path}: {field} = {shown if len(shown) < 100 else shown[:90] + ' ...'}: {why}")


def read_json(path: Path) -> dict:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path}: a JSON object is needed")
    return value


# writing ---------------------------------------------------------------------------------------------------


def config_fields(config: ModelConfig, dtype: str) -> dict:
    """The fields of `config.json`, for transformers 5 (rope_parameters) and 4 (rope_theta, rope_scaling)."""
    written = asdict(config)
    scaling = written.pop("rope_scaling")
    if scaling is not None:
        written["rope_scaling"] = {name: value for name, value in scaling.items() if value is not None}
    return written | {
        "architectures": [ARCHITECTURES[config.model_type]],
        "hidden_act": "silu",
        "torch_dtype": dtype,
        "rope_parameters": written.get("rope_scaling", {"rope_type": "default"}) | {"rope_theta": config.rope_theta},
    }
