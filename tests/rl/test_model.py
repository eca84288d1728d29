import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from rl.files.weights import load_model, save_model
from rl.model import ModelConfig, init_model, pad_right

FAMILIES = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
}
ROWS = [[5, 1, 7, 7, 2, 9, 11], [3], [8, 0, 4]]


def peer_model(family: str, tied: bool, **changes):
    """A random transformers model with grouped queries, and head_dim apart from hidden / heads."""
    config_class, model_class = FAMILIES[family]
    shape = {
        "vocab_size": 97,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "tie_word_embeddings": tied,
        "rope_theta": 500.0,
    }
    if family != "qwen2":
        shape["head_dim"] = 12
    torch.manual_seed(0)
    model = model_class(config_class(**(shape | changes))).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # norms and biases too: at 1 and 0 they would hide a wrong use
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def peer_logits(model, row):
    with torch.no_grad():
        return model(torch.tensor([row])).logits[0]


def write_qwen3(directory, **changes):
    """A valid checkpoint directory, with fields of config.json changed afterwards (None: removed)."""
    config = ModelConfig("qwen3", 97, 32, 48, 2, 4, 2, 12, tie_word_embeddings=True)
    save_model(init_model(config, seed=0), directory, torch.float32)
    path = directory / "config.json"
    fields = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in fields.items() if value is not None}))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_equal_transformers_on_a_ragged_batch(family, tied, tmp_path):
    """Guards every part of the forward pass (RoPE order, GQA sharing, QK-norm, biases, head, padding)."""
    peer = peer_model(family, tied)
    peer.save_pretrained(tmp_path)
    model = load_model(tmp_path)
    assert model.config.rope_theta == 500.0
    with torch.no_grad():
        ours = model.logits(model(*pad_right(ROWS)))
    for row, logits in zip(ROWS, ours, strict=True):
        torch.testing.assert_close(logits[: len(row)], peer_logits(peer, row), atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prefix_continues_as_the_whole_sequence(family, tmp_path):
    """Guards positions that restart behind the prompt, and prompts or rows mixed up in prompt_of_row."""
    peer = peer_model(family, tied=True)
    peer.save_pretrained(tmp_path)
    model = load_model(tmp_path)
    prompts, rows, prompt_of_row = [[1, 2, 3, 4], [9]], [[5, 6], [7], [8, 9, 10]], [0, 1, 0]
    with torch.no_grad():
        _, prefix = model.prefill(*pad_right(prompts))
        ours = model.logits(model(*pad_right(rows), prefix, torch.tensor(prompt_of_row)))
    for row, n, logits in zip(rows, prompt_of_row, ours, strict=True):
        wanted = peer_logits(peer, prompts[n] + row)[len(prompts[n]) :]
        torch.testing.assert_close(logits[: len(row)], wanted, atol=1e-4, rtol=0)


def test_padding_is_never_looked_at(tmp_path):
    """Guards masks that are taken from token ids, or that let a row see what lies behind its end."""
    model = init_model(ModelConfig("qwen3", 97, 32, 48, 2, 4, 2, 12), seed=1)
    ids, lengths = pad_right(ROWS)
    other = ids.clone()
    other[1, 1:] = 42
    assert torch.equal(model(ids, lengths), model(other, lengths))
    assert torch.equal(model(ids, lengths)[1, 1:], torch.zeros(6, 32))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [True, False])
def test_a_saved_model_loads_in_transformers(family, tied, tmp_path):
    """Guards config fields and tensor names that transformers would silently replace by defaults or noise."""
    peer = peer_model(family, tied)
    peer.save_pretrained(tmp_path / "peer")
    save_model(load_model(tmp_path / "peer"), tmp_path / "ours", torch.float32, extra={"eos_token_id": 7})
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    assert type(again) is type(peer)
    assert again.config.eos_token_id == 7
    assert ("lm_head.weight" in load_file(tmp_path / "ours" / "model.safetensors")) is not tied
    torch.testing.assert_close(peer_logits(again, ROWS[0]), peer_logits(peer, ROWS[0]), atol=1e-6, rtol=0)


def test_sharded_weights_load(tmp_path):
    """Guards checkpoints of more than one file, which larger models all are."""
    peer = peer_model("qwen3", tied=False)
    peer.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    model = load_model(tmp_path)
    with torch.no_grad():
        logits = model.logits(model(*pad_right(ROWS[:1])))[0]
    torch.testing.assert_close(logits, peer_logits(peer, ROWS[0]), atol=1e-4, rtol=0)
    next(tmp_path.glob("model-00002*.safetensors")).unlink()
    with pytest.raises(ValueError, match="model-00002.*cannot be read"):
        load_model(tmp_path)


def test_loading_draws_no_weights(tmp_path, monkeypatch):
    """Guards a random embedding that is thrown away: on the device "meta" it costs a second, as PyTorch's compiler is
    loaded for it."""
    write_qwen3(tmp_path)
    monkeypatch.delattr(torch.nn.init, "normal_")
    assert load_model(tmp_path).model.embed_tokens.weight.std() > 0.01


def test_bf16_files_are_half_the_size_and_the_same_seed_gives_the_same_bytes(tmp_path):
    """Guards a pretraining command whose checkpoint differs from run to run."""
    config = ModelConfig("qwen3", 97, 32, 48, 2, 4, 2, 12, tie_word_embeddings=True)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        save_model(init_model(config, seed), tmp_path / name)
    first, second, third = ((tmp_path / n / "model.safetensors").read_bytes() for n in "abc")
    assert first == second != third
    assert all(t.dtype == torch.bfloat16 for t in load_file(tmp_path / "a" / "model.safetensors").values())


def test_weights_that_do_not_fit_are_refused(tmp_path):
    """Guards layers left at random because a tensor was absent, misnamed or of another shape."""
    write_qwen3(tmp_path)
    path = tmp_path / "model.safetensors"
    good = {name: tensor.clone() for name, tensor in load_file(path).items()}  # the file is written anew below
    name = "model.layers.1.mlp.up_proj.weight"

    def refused(tensors, message):
        save_file(tensors, path)
        with pytest.raises(ValueError, match=message) as error:
            load_model(tmp_path)
        assert str(tmp_path) in str(error.value)

    refused({n: t for n, t in good.items() if n != name}, f"{name} is missing")
    refused(good | {"model.layers.2.mlp.up_proj.weight": good[name].clone()}, "layers.2.mlp.up_proj.weight is not")
    refused(good | {name: good[name][:, 1:].contiguous()}, r"shape \(48, 31\), config.json says \(48, 32\)")
    refused(
        good | {"lm_head.weight": good["model.embed_tokens.weight"] + 1},
        "lm_head.weight is not the embedding",
    )
    save_file(good | {"lm_head.weight": good["model.embed_tokens.weight"].clone()}, path)
    load_model(tmp_path)  # a true copy of a tied head does no harm

    path.write_bytes(b"not a safetensors file")
    with pytest.raises(ValueError, match=r"model\.safetensors: not a safetensors file"):
        load_model(tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match="no weights"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json: not JSON"):
        load_model(tmp_path)
    with pytest.raises(ValueError, match=r"config\.json: cannot be read"):
        load_model(tmp_path / "absent")
