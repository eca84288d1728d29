"""SFT on a tiny model against PyTorch's own cross-entropy."""

import pytest
import torch
import torch.nn.functional as F

from rl import sft
from rl.learner import Learner, Settings, layout_of
from rl.logprobs import completion_logprobs
from rl.lora import add_lora, lora_parameters
from rl.loss import Totals
from rl.model import ModelConfig, init_model
from rl.rollout import Rollout, make_batch

CONFIG = ModelConfig("qwen3", 20, 16, 32, 1, 2, 1, 8, tie_word_embeddings=True)
EOS = 1
SOLUTIONS = [([5, 6, 7], [9, 8, EOS]), ([5, 4], [3, 9, 9, 12, EOS]), ([11], [EOS])]


def make_model(dtype=torch.float64):
    model = init_model(CONFIG, seed=1).to(dtype)
    add_lora(model, rank=2, alpha=4, seed=2)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        model.model.embed_tokens.weight.mul_(20)  # fresh from init all its logits are nearly 0
        for parameter in lora_parameters(model):
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def make_rollouts():
    """Reference solutions, as `collect` gives them: nothing was sampled."""
    return [
        Rollout(number, 0, prompt, completion, [], "eos", "") for number, (prompt, completion) in enumerate(SOLUTIONS)
    ]


def cross_entropy(model, with_prompt):
    """Mean over tokens, one unpadded sequence at a time; labels of the prompt are ignored, or trained as well."""
    total, count = 0.0, 0
    for prompt, completion in SOLUTIONS:
        ids = torch.tensor([prompt + completion])
        logits = model.logits(model(ids, torch.tensor([ids.shape[1]])))[0, :-1]
        labels = ids[0, 1:].clone()
        if not with_prompt:
            labels[: len(prompt) - 1] = -100
        total = total + F.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
        count += int((labels != -100).sum())
    return total / count


def our_loss(model):
    rollouts = make_rollouts()
    data = make_batch(rollouts)
    log_probs, _ = completion_logprobs(model, *layout_of(rollouts))
    return sft.completion_loss(log_probs, data, Totals(3, int(data.mask.sum()), 5), sft.Options())[0]


def gradients(model, loss):
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, lora_parameters(model))])


def test_loss_is_cross_entropy_on_the_completion_only():
    """Targets shifted by one, padding that counts, or the prompt learned along: the last differs clearly."""
    model = make_model()
    ours, theirs, with_prompt = our_loss(model), cross_entropy(model, False), cross_entropy(model, True)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)
    ours, theirs, with_prompt = (gradients(model, loss) for loss in (ours, theirs, with_prompt))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    assert (ours - with_prompt).norm() > 0.1 * with_prompt.norm()


def test_every_token_weighs_the_same_and_eos_is_one():
    """A mean over rows (tokens of long solutions weigh less), or EOS masked away: the model then never stops."""
    data = make_batch(make_rollouts())
    log_probs = torch.full(data.mask.shape, -2.0, dtype=torch.float64, requires_grad=True)
    sft.completion_loss(log_probs, data, Totals(3, 9, 5), sft.Options())[0].backward()
    for (_, completion), row in zip(SOLUTIONS, log_probs.grad.tolist(), strict=True):
        assert row == pytest.approx([-1 / 9] * len(completion) + [0.0] * (5 - len(completion)))


def eos_log_probs(model):
    """The log-probability of EOS at the end of each solution."""
    with torch.no_grad():
        log_probs, _ = completion_logprobs(model, *layout_of(make_rollouts()))
    return torch.stack([log_probs[i, len(completion) - 1] for i, (_, completion) in enumerate(SOLUTIONS)])


def test_training_lowers_the_loss_and_raises_eos():
    """Gradient ascent, or a loop that learns nothing because rows without advantages are left out."""
    model = make_model(torch.float32)
    learner = Learner(model, Settings(lr=1e-2, steps=8, lr_schedule="constant", microbatch_rows=2))
    asked, logged = [], []

    def collect(step):
        asked.append(step)
        return make_rollouts()

    before, base = eos_log_probs(model), [p.clone() for p in model.parameters() if not p.requires_grad]
    expected = cross_entropy(model, False).item()
    sft.train(learner, collect, lambda batch, metrics: logged.append((batch, metrics)), sft.Options())
    assert asked == list(range(8))
    assert learner.step == 8
    losses = [metrics["loss"] for _, metrics in logged]
    assert losses[0] == pytest.approx(expected, rel=1e-5)
    assert all(later < earlier for earlier, later in zip(losses, losses[1:], strict=False))
    assert losses[-1] < 0.8 * losses[0]
    assert (eos_log_probs(model) > before + 0.1).all()
    assert all(
        torch.equal(a, b) for a, b in zip(base, [p for p in model.parameters() if not p.requires_grad], strict=True)
    )


def test_nothing_is_claimed_about_a_sampler():
    """Mismatch and KL metrics of solutions that no policy sampled: their log-probabilities are placeholders."""
    logged = []
    learner = Learner(make_model(torch.float32), Settings(lr=1e-3, steps=1))
    sft.train(
        learner, lambda step: make_rollouts(), lambda batch, metrics: logged.append((batch, metrics)), sft.Options()
    )
    batch, metrics = logged[0]
    assert not any("logp_difference" in name or "kl" in name or "ratio" in name for name in metrics)
    assert batch.advantages.shape == batch.mask.shape
    assert (batch.advantages == 0).all()
