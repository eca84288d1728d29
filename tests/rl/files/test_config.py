"""What config.json says: honoured, checked to change nothing, or refused."""

import copy
import json

import pytest
import transformers

from rl.files.config import read_config
from rl.model import ModelConfig, RopeScaling, check_window

LLAMA3 = {
    "factor": 32.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}
# The fields of the published files, as transformers 4 wrote them, and what they are to be read as.
COMMON = {"initializer_range": 0.02, "torch_dtype": "bfloat16", "transformers_version": "4.40.0", "use_cache": True}
PUBLISHED = {
    "Qwen3-0.6B": (
        {
            "architectures": ["Qwen3ForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": 151643,
            "eos_token_id": 151645,
            "head_dim": 128,
            "hidden_act": "silu",
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "max_position_embeddings": 40960,
            "max_window_layers": 28,
            "model_type": "qwen3",
            "num_attention_heads": 16,
            "num_hidden_layers": 28,
            "num_key_value_heads": 8,
            "rms_norm_eps": 1e-06,
            "rope_scaling": None,
            "rope_theta": 1000000,
            "sliding_window": None,
            "tie_word_embeddings": True,
            "use_sliding_window": False,
            "vocab_size": 151936,
        },
        ModelConfig("qwen3", 151936, 1024, 3072, 28, 16, 8, 128, 1e6, 1e-6, True, 40960),
    ),
    "Llama-3.2-1B-Instruct": (
        {
            "architectures": ["LlamaForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": 128000,
            "eos_token_id": [128001, 128008, 128009],
            "head_dim": 64,
            "hidden_act": "silu",
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "max_position_embeddings": 131072,
            "mlp_bias": False,
            "model_type": "llama",
            "num_attention_heads": 32,
            "num_hidden_layers": 16,
            "num_key_value_heads": 8,
            "pretraining_tp": 1,
            "rms_norm_eps": 1e-05,
            "rope_scaling": LLAMA3,
            "rope_theta": 500000.0,
            "tie_word_embeddings": True,
            "vocab_size": 128256,
        },
        ModelConfig(
            *("llama", 128256, 2048, 8192, 16, 32, 8, 64, 5e5, 1e-5, True, 131072),
            rope_scaling=RopeScaling("llama3", 32.0, 1.0, 4.0, 8192),
        ),
    ),
    "Qwen2.5-Coder-1.5B-Instruct": (
        {
            "architectures": ["Qwen2ForCausalLM"],
            "attention_dropout": 0.0,
            "bos_token_id": 151643,
            "eos_token_id": 151645,
            "hidden_act": "silu",
            "hidden_size": 1536,
            "intermediate_size": 8960,
            "max_position_embeddings": 32768,
            "max_window_layers": 28,
            "model_type": "qwen2",
            "num_attention_heads": 12,
            "num_hidden_layers": 28,
            "num_key_value_heads": 2,
            "rms_norm_eps": 1e-06,
            "rope_theta": 1000000.0,
            "sliding_window": 32768,
            "tie_word_embeddings": True,
            "use_sliding_window": False,
            "vocab_size": 151936,
        },
        ModelConfig("qwen2", 151936, 1536, 8960, 28, 12, 2, 128, 1e6, 1e-6, True, 32768),
    ),
    "DeepSeek-Coder-1.3B-Instruct": (
        {
            "_name_or_path": "deepseek",
            "architectures": ["LlamaForCausalLM"],
            "bos_token_id": 32013,
            "eos_token_id": 32021,
            "hidden_act": "silu",
            "hidden_size": 2048,
            "intermediate_size": 5504,
            "max_position_embeddings": 16384,
            "model_type": "llama",
            "num_attention_heads": 16,
            "num_hidden_layers": 24,
            "num_key_value_heads": 16,
            "pretraining_tp": 1,
            "rms_norm_eps": 1e-06,
            "rope_scaling": {"factor": 4.0, "type": "linear"},
            "rope_theta": 100000,
            "tie_word_embeddings": False,
            "vocab_size": 32256,
        },
        ModelConfig(
            *("llama", 32256, 2048, 5504, 24, 16, 16, 128, 1e5, 1e-6, False, 16384),
            rope_scaling=RopeScaling("linear", 4.0),
        ),
    ),
    "SmolLM2-135M-Instruct": (  # with fields of other people's tools
        {
            "_attn_implementation_autoset": True,
            "architectures": ["LlamaForCausalLM"],
            "bos_token_id": 1,
            "eos_token_id": 2,
            "hidden_act": "silu",
            "hidden_size": 576,
            "intermediate_size": 1536,
            "is_llama_config": True,
            "max_position_embeddings": 8192,
            "model_type": "llama",
            "num_attention_heads": 9,
            "num_hidden_layers": 30,
            "num_key_value_heads": 3,
            "pad_token_id": 2,
            "pretraining_tp": 1,
            "rms_norm_eps": 1e-05,
            "rope_interleaved": False,
            "rope_scaling": None,
            "rope_theta": 100000,
            "tie_word_embeddings": True,
            "transformers.js_config": {"kv_cache_dtype": {"fp16": "float16", "q4f16": "float16"}},
            "vocab_size": 49152,
        },
        ModelConfig("llama", 49152, 576, 1536, 30, 9, 3, 64, 1e5, 1e-5, True, 8192),
    ),
}


def write(directory, fields):
    """A config.json; fields of value None are left out."""
    text = json.dumps({name: value for name, value in fields.items() if value is not None})
    (directory / "config.json").write_text(text)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_files_are_read(name, tmp_path):
    """Guards against refusing the very models that the papers use, or reading them as others."""
    fields, wanted = PUBLISHED[name]
    (tmp_path / "config.json").write_text(json.dumps(fields | COMMON))
    assert read_config(tmp_path) == wanted
    assert len({wanted, read_config(tmp_path)}) == 1  # it serves as a key


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_transformers_writes_of_them_is_read_alike(name, tmp_path):
    """Guards files that went through save_pretrained, which adds fields and, from 5 on, moves RoPE's."""
    fields, wanted = PUBLISHED[name]
    transformers.AutoConfig.for_model(**copy.deepcopy(fields)).save_pretrained(tmp_path)
    assert read_config(tmp_path) == wanted


LLAMA = PUBLISHED["Llama-3.2-1B-Instruct"][0]
QWEN3 = PUBLISHED["Qwen3-0.6B"][0]
INSIDE = {"rope_theta": None, "rope_scaling": None}  # of LLAMA: RoPE is told by rope_parameters alone


@pytest.mark.parametrize(
    ("start", "changes", "message"),
    [
        (QWEN3, {"model_type": "gpt2"}, 'model_type = "gpt2": not supported; known are llama, qwen2, qwen3'),
        (QWEN3, {"model_type": None}, "model_type = null"),
        (QWEN3, {"architectures": ["Qwen3ForSequenceClassification"]}, "architectures = .*only Qwen3ForCausalLM"),
        # sizes
        (QWEN3, {"hidden_size": None}, "hidden_size = null: a positive int"),
        (QWEN3, {"hidden_size": -1}, "hidden_size = -1"),
        (QWEN3, {"hidden_size": True}, "hidden_size = true"),
        (QWEN3, {"num_hidden_layers": 2.5}, "num_hidden_layers = 2.5"),
        (QWEN3, {"head_dim": None}, "head_dim = null"),
        (QWEN3, {"head_dim": 127}, "head_dim = 127: RoPE needs an even number"),
        (QWEN3, {"num_key_value_heads": 3}, "num_key_value_heads = 3: does not divide num_attention_heads = 16"),
        (
            LLAMA,
            {"head_dim": None, "hidden_size": 2049},
            "num_attention_heads = 32: does not divide hidden_size = 2049",
        ),
        (QWEN3, {"max_position_embeddings": None}, "max_position_embeddings = null"),
        (QWEN3, {"tie_word_embeddings": "yes"}, 'tie_word_embeddings = "yes": true or false'),
        # fields that have to have the value that changes nothing
        (QWEN3, {"hidden_act": "gelu"}, 'hidden_act = "gelu": not supported; only "silu" is'),
        (LLAMA, {"attention_bias": True}, "attention_bias = true"),
        (LLAMA, {"mlp_bias": True}, "mlp_bias = true"),
        (LLAMA, {"attention_dropout": 0.1}, "attention_dropout = 0.1"),
        (LLAMA, {"pretraining_tp": 2}, "pretraining_tp = 2"),
        (LLAMA, {"partial_rotary_factor": 0.5}, "partial_rotary_factor = 0.5"),
        (LLAMA, {"rope_interleaved": True}, "rope_interleaved = true"),
        (LLAMA, {"quantization_config": {"bits": 4}}, "quantization_config = .*bf16, fp16 or fp32"),
        (QWEN3, {"use_sliding_window": True}, "use_sliding_window = true: sliding windows are not supported"),
        (LLAMA, {"sliding_window": 4096}, "sliding_window = 4096: sliding windows are not supported"),
        (QWEN3, {"layer_types": ["full_attention", "sliding_attention"]}, "layer_types = .*only full_attention"),
        # fields that nobody has heard of
        (LLAMA, {"residual_multiplier": 0.22}, "residual_multiplier = 0.22: an unknown field.*delete it"),
        (LLAMA, {"a": list(range(100))}, r"a = \[0, 1, .* \.\.\.: an unknown field"),
        # RoPE
        *(
            (LLAMA, {"rope_scaling": {"rope_type": kind, "factor": 4.0}}, f'"{kind}" is not supported; known are defa')
            for kind in ("yarn", "dynamic", "longrope", "proportional", "mrope")
        ),
        (LLAMA, {"rope_scaling": {"type": "linear", "rope_type": "yarn", "factor": 2.0}}, '"yarn" is not supported'),
        (LLAMA, {"rope_scaling": {"type": "linear", "rope_type": "default", "factor": 2.0}}, "not supported"),
        (LLAMA, {"rope_scaling": "linear"}, 'rope_scaling = "linear": a JSON object'),
        (LLAMA, {"rope_scaling": {"type": "linear"}}, "rope_scaling: factor = null"),
        (LLAMA, {"rope_scaling": {"type": "linear", "factor": 0.5}}, "a factor of at least 1"),
        (LLAMA, {"rope_scaling": {"type": "linear", "factor": "2"}}, 'rope_scaling: factor = "2"'),
        (LLAMA, {"rope_scaling": {"type": "linear", "factor": 2.0, "beta_fast": 1}}, "beta_fast is not known"),
        (LLAMA, {"rope_scaling": LLAMA3 | {"original_max_position_embeddings": 8192.5}}, "embeddings = 8192.5"),
        (
            LLAMA,
            {"rope_scaling": LLAMA3 | {"low_freq_factor": 4.0}},
            "low_freq_factor has to be below high_freq_factor",
        ),
        (LLAMA, {"rope_scaling": LLAMA3 | {"low_freq_factor": None}}, "rope_scaling: low_freq_factor = null"),
        (LLAMA, {"rope_scaling": LLAMA3 | {"partial_rotary_factor": 0.5}}, "partial_rotary_factor is not supported"),
        (LLAMA, {"rope_theta": "big"}, 'rope_theta = "big": a positive float'),
        (LLAMA, INSIDE | {"rope_parameters": {"rope_theta": -1}}, "rope_parameters: rope_theta = -1"),
        (
            LLAMA,
            INSIDE | {"rope_parameters": {"full_attention": {"rope_type": "default"}}},
            "full_attention is not know",
        ),
        (LLAMA, {"rope_parameters": LLAMA3 | {"factor": 8.0}}, "rope_parameters and rope_scaling say different things"),
        (
            LLAMA,
            {"rope_scaling": None, "rope_parameters": {"rope_theta": 1e4}},
            "rope_theta = 500000.0: rope_parameters says 10000.0",
        ),
    ],
)
def test_a_config_that_we_cannot_honour_is_refused(start, changes, message, tmp_path):
    """Guards running another architecture than the checkpoint's, which would give fluent nonsense."""
    write(tmp_path, start | changes)
    with pytest.raises(ValueError, match=message) as error:
        read_config(tmp_path)
    assert str(error.value).startswith(str(tmp_path / "config.json"))
    assert "\n" not in str(error.value)


def test_a_prompt_and_its_answer_have_to_fit_the_window():
    """Guards positions that the model was never trained on, where it says nothing of worth and no error shows."""
    config = ModelConfig("qwen3", 97, 32, 48, 2, 4, 2, 12, max_position_embeddings=256)
    check_window(config, 156, 100)
    with pytest.raises(ValueError, match="157 tokens and 100 new ones are 257 positions, .* 256"):
        check_window(config, 157, 100)
