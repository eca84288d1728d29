"""The four models of the papers against transformers: the real shape of every head, few layers, a small vocabulary."""

import copy

import pytest
import torch
import transformers

from rl.files.config import read_config
from rl.files.weights import load_model, save_model
from rl.model import pad_right
from rl.sample import sample

SMALL = {
    "vocab_size": 211,
    "hidden_size": 256,
    "intermediate_size": 320,
    "num_hidden_layers": 2,
    "max_position_embeddings": 256,
    "bos_token_id": None,
    "eos_token_id": None,
}
# The window of pretraining is 32, and 64: the rows below go on to position 214.
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
FAMILIES = {
    "Qwen3-0.6B": (
        transformers.Qwen3Config,
        {
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "rope_theta": 1e6,
            "tie_word_embeddings": True,
        },
    ),
    "Llama-3.2-1B": (
        transformers.LlamaConfig,
        {
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 64,
            "rope_theta": 5e5,
            "rope_scaling": LLAMA3,
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": True,
        },
    ),
    "Qwen2.5-Coder-1.5B": (
        transformers.Qwen2Config,
        {
            "hidden_size": 384,
            "num_attention_heads": 12,
            "num_key_value_heads": 2,
            "head_dim": 128,  # which there follows from the true width, 1536
            "rope_theta": 1e6,
            "tie_word_embeddings": True,
        },
    ),
    "DeepSeek-Coder-1.3B": (
        transformers.LlamaConfig,
        {
            "num_attention_heads": 16,
            "num_key_value_heads": 16,
            "head_dim": 128,
            "rope_theta": 1e5,
            "rope_scaling": {"type": "linear", "factor": 4.0},
            "tie_word_embeddings": False,
        },
    ),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    """A random checkpoint that transformers wrote in several files, and the model that it is of."""
    config_class, shape = FAMILIES[request.param]
    torch.manual_seed(0)
    peer = transformers.AutoModelForCausalLM.from_config(config_class(**(SMALL | shape))).eval()
    with torch.no_grad():
        for name, parameter in peer.named_parameters():
            if "embed" in name:  # small against what the layers add: else a tied head would say its input again
                parameter.normal_(0.0, 0.1)
            elif parameter.dim() == 2:
                parameter.normal_(0.0, parameter.shape[1] ** -0.5)
            else:  # norms and biases, which at 1 and 0 would hide a wrong use
                parameter.add_(0.3 * torch.randn_like(parameter))
    directory = tmp_path_factory.mktemp("family")
    peer.save_pretrained(directory, max_shard_size="4MB")
    assert len(list(directory.glob("model-*.safetensors"))) > 1
    return directory, peer


def random_rows(*lengths):
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(SMALL["vocab_size"], (n,), generator=generator).tolist() for n in lengths]


@torch.no_grad()
def relative_error(model, peer):
    """Of the logits of rows of 214 and 40 tokens, the larger."""
    rows = random_rows(214, 40)
    ours = model.logits(model(*pad_right(rows))).float()
    errors = []
    for row, logits in zip(rows, ours, strict=True):
        wanted = peer(torch.tensor([row])).logits[0].float()
        errors.append(float((logits[: len(row)] - wanted).norm() / wanted.norm()))
    return max(errors)


def test_logits_equal_transformers_beyond_the_window_of_pretraining(family):
    """Guards RoPE kinds, head widths, biases and norms that are not the family's."""
    directory, peer = family
    assert relative_error(load_model(directory), peer) <= 1e-4


def test_in_bf16_too(family):
    """Guards positions or angles that are rounded to bf16, in which 201 is no number."""
    directory, _ = family
    peer = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.bfloat16).eval()
    assert relative_error(load_model(directory, dtype=torch.bfloat16), peer) <= 2e-2


@torch.no_grad()
def sharpen(model):
    """Attention that picks single tokens: random models otherwise soon say one token for ever. Returns the model."""
    for name, parameter in model.named_parameters():
        if ("q_norm" if model.config.model_type == "qwen3" else "q_proj") in name:
            parameter.mul_(8.0)
        elif "embed" in name:
            parameter.mul_(0.3)
    return model


def test_a_saved_model_is_the_same_in_transformers(family, tmp_path):
    """Guards a config.json of ours from which transformers would read another RoPE."""
    model = load_model(family[0])
    save_model(model, tmp_path, torch.float32)
    peer = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert relative_error(model, peer) <= 1e-4
    assert read_config(tmp_path) == model.config


def test_the_greedy_continuation_is_that_of_transformers(family):
    """Guards a sampler whose positions or angles are not those of the model's forward pass."""
    directory, peer = family
    peer = sharpen(copy.deepcopy(peer))
    prompts = random_rows(150, 5)
    found = sample(
        sharpen(load_model(directory)),
        prompts,
        seed=0,
        step=0,
        prompt_ids=["long", "short"],
        group_size=1,
        max_new_tokens=64,
        eos_ids=[],
        temperature=0.0,
    )
    for prompt, completion in zip(prompts, found, strict=True):
        ids = torch.tensor([prompt])
        wanted = peer.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=64)
        assert completion.ids == wanted[0, len(prompt) :].tolist()
        assert len(set(completion.ids)) > 20  # a continuation that repeats itself would show little
