import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from rl.files.adapter import load_adapter, save_adapter
from rl.files.weights import load_model, save_model
from rl.lora import TARGETS, add_lora, lora_layers, lora_parameters, merge_lora, share_base
from rl.model import ModelConfig, init_model, pad_right

CONFIGS = {
    family: ModelConfig(family, 61, 24, 40, 2, 4, 2, 10 if family == "qwen3" else 6, tie_word_embeddings=True)
    for family in ("llama", "qwen2", "qwen3")
}
BATCH = pad_right([[5, 1, 7, 7, 2, 9, 11], [8, 0, 4]])


def base_model(family="qwen3"):
    return init_model(CONFIGS[family], seed=0)


def adapted_model(family="qwen3", targets=TARGETS):
    """A model whose adapters are no longer the identity."""
    model = base_model(family)
    add_lora(model, rank=3, alpha=6, targets=targets, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in lora_parameters(model):
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def logits(model):
    with torch.no_grad():
        return model.logits(model(*BATCH))


@pytest.mark.parametrize("targets", [TARGETS, ("q_proj", "down_proj")])
def test_starts_as_the_identity_and_trains_only_a_and_b(targets):
    """Guards adapters that disturb the base before the first step, and an optimizer that moves the base."""
    model, base = base_model(), base_model()
    add_lora(model, rank=3, alpha=6, targets=targets)
    assert torch.equal(logits(model), logits(base))
    assert len(lora_layers(model)) == 2 * len(targets)
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trainable == {f"{name}.{part}" for name in lora_layers(model) for part in ("lora_A", "lora_B")}

    frozen = {name: p.clone() for name, p in model.named_parameters() if name not in trainable}
    optimizer = torch.optim.SGD(lora_parameters(model), lr=10.0)
    for _ in range(2):  # A has no gradient until B has left zero
        optimizer.zero_grad()
        model.logits(model(*BATCH)).square().sum().backward()
        optimizer.step()
    for name, parameter in model.named_parameters():
        assert name in trainable or torch.equal(parameter, frozen[name])
    assert all(layer.lora_A.grad.abs().max() > 0 for layer in lora_layers(model).values())
    assert not torch.equal(logits(model), logits(base))


def test_the_correction_is_alpha_over_r_times_b_a():
    """Guards a scale that is consistently wrong, which no round trip through our own files would show."""
    layer = next(iter(lora_layers(adapted_model()).values()))
    x = torch.randn(5, 24, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        wanted = x @ (layer.base.weight + 6 / 3 * layer.lora_B @ layer.lora_A).T
        torch.testing.assert_close(layer(x), wanted, atol=1e-5, rtol=0)


def test_the_seed_decides_a():
    """Guards adapters drawn from the global generator, which would make runs of one seed differ."""
    drawn = []
    for seed in (1, 1, 2):
        model = base_model()
        add_lora(model, rank=3, alpha=6, seed=seed)
        drawn.append(torch.cat([layer.lora_A.flatten() for layer in lora_layers(model).values()]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_adapters_stay_fp32_on_a_bf16_base():
    """Guards updates that are lost because bf16 cannot resolve them."""
    model = base_model().to(torch.bfloat16)
    add_lora(model, rank=3, alpha=6)
    assert {parameter.dtype for parameter in lora_parameters(model)} == {torch.float32}
    assert model(*BATCH).dtype == torch.bfloat16


def test_twin_is_the_base_on_the_same_memory():
    """Guards a reference policy that is the policy itself, and one that costs the base's memory a second time."""
    model = adapted_model()
    reference = share_base(model)
    assert torch.equal(logits(reference), logits(base_model()))
    assert not torch.equal(logits(model), logits(reference))
    base = {p.data_ptr() for name, p in model.named_parameters() if "lora_" not in name}
    assert {p.data_ptr() for p in reference.parameters()} == base
    assert not any(p.requires_grad for p in reference.parameters())


def test_an_adapter_on_the_twin_leaves_the_policy_alone():
    """Guards a critic or a reference whose adapter also changes the policy that shares its weights."""
    model = adapted_model()
    before = logits(model)
    add_lora(share_base(model), rank=2, alpha=4, seed=9)
    assert torch.equal(logits(model), before)


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("targets", [TARGETS, ("v_proj", "gate_proj")])
def test_survives_save_load_and_merge(family, targets, tmp_path):
    """Guards the scale alpha / r, the order B A, and names that change on the way through the file."""
    model = adapted_model(family, targets)
    adapted = logits(model)
    save_adapter(model, tmp_path, "base")
    again = base_model(family)
    load_adapter(again, tmp_path)
    assert torch.equal(logits(again), adapted)
    assert not torch.allclose(adapted, logits(base_model(family)), atol=1e-2)

    merge_lora(again)
    torch.testing.assert_close(logits(again), adapted, atol=1e-5, rtol=0)
    assert not lora_layers(again)
    save_model(again, tmp_path / "merged", torch.float32)
    torch.testing.assert_close(logits(load_model(tmp_path / "merged")), adapted, atol=1e-5, rtol=0)


def test_a_model_with_adapters_is_not_saved_as_a_plain_one(tmp_path):
    """Guards a checkpoint with `base.weight` names that nothing can load."""
    with pytest.raises(ValueError, match="LoRA layers unmerged"):
        save_model(adapted_model(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("family", CONFIGS)
def test_peft_loads_ours(family, tmp_path):
    """Guards key names: PEFT only warns about those it does not know, and leaves B at zero."""
    peft = pytest.importorskip("peft", reason="the oracle peft is not installed")
    model = adapted_model(family)
    save_model(base_model(family), tmp_path / "base", torch.float32)
    save_adapter(model, tmp_path / "adapter", str(tmp_path / "base"))
    peer = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    peer = peft.PeftModel.from_pretrained(peer, tmp_path / "adapter")
    with torch.no_grad():
        wanted = peer(BATCH[0][:1]).logits
    torch.testing.assert_close(logits(model)[:1], wanted, atol=1e-5, rtol=0)


def test_we_load_peft(tmp_path):
    """Guards reading only our own dialect of the format."""
    peft = pytest.importorskip("peft", reason="the oracle peft is not installed")
    save_model(base_model(), tmp_path / "base", torch.float32)
    peer = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    torch.manual_seed(0)
    config = peft.LoraConfig(
        r=2,
        lora_alpha=5,
        target_modules=["q_proj", "up_proj"],
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    peer = peft.get_peft_model(peer, config)
    peer.save_pretrained(tmp_path / "adapter")
    model = base_model()
    load_adapter(model, tmp_path / "adapter")
    with torch.no_grad():
        wanted = peer(BATCH[0][:1]).logits
    torch.testing.assert_close(logits(model)[:1], wanted, atol=1e-5, rtol=0)


def test_an_adapter_for_another_model_is_refused(tmp_path):
    """Guards an adapter that is taken in part: the rest would silently stay the base."""
    save_adapter(adapted_model(), tmp_path, "base")
    weights, config = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    good, fields = load_file(weights), json.loads(config.read_text())

    def refused(message, file, model=None):
        model = model or base_model()
        with pytest.raises(ValueError, match=message) as error:
            load_adapter(model, tmp_path)
        assert str(file) in str(error.value)
        assert "\n" not in str(error.value)
        assert not lora_layers(model)

    deeper = ModelConfig("qwen3", 61, 24, 40, 3, 4, 2, 10, tie_word_embeddings=True)
    wider = ModelConfig("qwen3", 61, 26, 40, 2, 4, 2, 10, tie_word_embeddings=True)
    refused(r"layers\.2\..* is missing", weights, init_model(deeper, 0))
    refused(r"has shape \(3, 24\), the model needs \(3, 26\)", weights, init_model(wider, 0))
    save_file({name.removeprefix("base_model.model."): t for name, t in good.items()}, weights)
    refused("is missing", weights)
    save_file(good | {"base_model.model.lm_head.lora_A.weight": torch.zeros(3, 24)}, weights)
    refused("fits no layer", weights)
    save_file(good, weights)
    for change, message in (
        ({"peft_type": "LOHA"}, "peft_type"),
        ({"r": 4}, r"has shape \(3, 24\), the model needs \(4, 24\)"),
        ({"r": 0}, "r = 0"),
        ({"lora_alpha": None}, "lora_alpha = null"),
        ({"target_modules": ["q_proj"]}, "fits no layer"),
        ({"target_modules": ["c_attn"]}, "target_modules"),
        ({"use_rslora": True}, "use_rslora = true"),
        ({"bias": "all"}, 'bias = "all"'),
    ):
        config.write_text(json.dumps(fields | change))
        refused(message, weights if "shape" in message or "fits" in message else config)
    config.write_text(json.dumps(fields))
    weights.unlink()
    refused("cannot be read", weights)


def test_bad_requests_are_refused():
    """Guards an optimizer without parameters, and a misspelt target that would train nothing."""
    with pytest.raises(ValueError, match="nothing to train"):
        lora_parameters(base_model())
    for targets in (["q_prj"], []):
        with pytest.raises(ValueError, match="LoRA targets"):
            add_lora(base_model(), 3, 6, targets)
    with pytest.raises(ValueError, match="rank = 0"):
        add_lora(base_model(), 0, 6)
    with pytest.raises(ValueError, match="already"):
        add_lora(adapted_model(), 3, 6)
