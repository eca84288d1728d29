"""Optimizer steps and the tensors of a batch of rollouts."""

import math

import pytest
import torch

from rl import grpo, gspo, reinforce, rloo
from rl.credit import token_advantages
from rl.learner import Learner, Settings, _slices
from rl.lora import add_lora, lora_parameters, share_base
from rl.loss import Totals
from rl.model import ModelConfig, init_model
from rl.rollout import Rollout, length_mask, make_batch, reward_table
from rl.sample import sample

CONFIG = ModelConfig("qwen3", 40, 32, 64, 2, 4, 2, 8, tie_word_embeddings=True)


def make_model(dtype=torch.float32):
    model = init_model(CONFIG, seed=1).to(dtype)
    add_lora(model, rank=2, alpha=4, seed=2)
    with torch.no_grad():
        for number, parameter in enumerate(lora_parameters(model)):
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    return model


def make_rollouts(model, groups=3, size=4):
    """Sampled rollouts of several lengths, with rewards that differ within each group but the last."""
    prompts = [[5, 6, 7, 8][: n + 2] for n in range(groups)]
    completions = sample(
        model,
        prompts,
        seed=0,
        step=0,
        prompt_ids=list(range(groups)),
        group_size=size,
        max_new_tokens=9,
        eos_ids=[0, 1, 2],
    )
    rollouts = []
    for i, c in enumerate(completions):
        n, g = divmod(i, size)
        rollouts.append(
            Rollout(
                n, g, prompts[n], c.ids, c.log_probs, c.finish_reason, "", reward=(g % 3) / 2 if n < groups - 1 else 1.0
            )
        )
    return rollouts


def make_learner(model, **changes):
    return Learner(model, Settings(**{"lr": 1e-2, "steps": 10, "max_new_tokens": 9, **changes}))


def prepared(learner, rollouts):
    """The batch with GRPO's advantages."""
    batch = learner.prepare(rollouts)
    advantages, _ = grpo.group_advantages(reward_table(rollouts).to(batch.mask))
    batch.advantages = token_advantages(advantages, 1.0, batch)
    return batch


def loss_of(algorithm):
    """Its loss and options, as `update` takes them."""
    return algorithm.policy_loss, algorithm.Options()


@pytest.mark.parametrize("algorithm", [grpo, gspo, reinforce, rloo])
def test_microbatches_change_no_result(algorithm):
    """A normaliser, a clip or a metric that depends on how the rollouts are cut for memory."""
    results = []
    for rows in (64, 3, 1):
        model = make_model(torch.float64)
        rollouts = make_rollouts(model)
        learner = make_learner(model, microbatch_rows=rows)
        metrics = learner.update(prepared(learner, rollouts), *loss_of(algorithm))
        results.append((metrics, [p.detach().clone() for p in lora_parameters(model)]))
    for metrics, parameters in results[1:]:
        assert metrics == pytest.approx(results[0][0], rel=1e-6, abs=1e-9)
        for a, b in zip(parameters, results[0][1], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_a_batch_without_spread_takes_no_step():
    """AdamW moving along its old momentum on a batch that says nothing."""
    model = make_model()
    rollouts = make_rollouts(model)
    learner = make_learner(model)
    learner.update(prepared(learner, rollouts), *loss_of(grpo))  # fills the momentum
    before = [p.detach().clone() for p in lora_parameters(model)]
    batch = prepared(learner, rollouts)
    batch.advantages = torch.zeros_like(batch.advantages)
    metrics = learner.update(batch, *loss_of(grpo))
    assert all(torch.equal(a, b) for a, b in zip(before, lora_parameters(model), strict=True))
    assert metrics["grad_norm"] == 0.0
    assert metrics["optimizer_steps"] == 0.0
    assert metrics["adapter/update_norm"] == 0.0
    assert "entropy" not in metrics  # not computed, so not claimed


def test_update_raises_the_better_and_lowers_the_worse():
    """A sign error anywhere between reward and optimizer."""
    model = make_model()
    rollouts = make_rollouts(model)
    learner = make_learner(model, lr=1e-3)
    batch = prepared(learner, rollouts)
    seen = []

    def spy(log_probs, part, totals, options):
        seen.append(((log_probs - part.old_log_probs) * part.advantages * part.mask).sum().item())
        return grpo.policy_loss(log_probs, part, totals, options)

    learner.update(batch, spy, grpo.Options())
    learner.update(batch, spy, grpo.Options())
    assert seen[0] == pytest.approx(0.0, abs=1e-4)
    assert seen[1] > 0.01


def test_epochs_and_minibatches_are_optimizer_steps():
    """An epoch that is left out, or minibatches that see each other's rows."""
    model = make_model()
    learner = make_learner(model, epochs=3, minibatches=2)
    rows = []

    def spy(log_probs, part, totals, options):
        rows.append([(r.prompt_id, r.sample) for r in part.rollouts])
        assert totals == Totals(6, int(part.mask.sum()), 9)
        return grpo.policy_loss(log_probs, part, totals, options)

    metrics = learner.update(prepared(learner, make_rollouts(model)), spy, grpo.Options(), every_row=True)
    halves = [[(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)], [(1, 2), (1, 3), (2, 0), (2, 1), (2, 2), (2, 3)]]
    assert rows == halves * 3
    assert metrics["optimizer_steps"] == 6
    assert learner.step == 1


def test_every_row_is_computed_where_all_have_a_gradient():
    """A KL term or a critic that forgets the groups without spread."""
    model = make_model()
    rollouts = make_rollouts(model)
    seen = {}
    for every_row in (False, True):
        learner = make_learner(model, lr=1e-9)

        def spy(log_probs, part, totals, options, every_row=every_row):
            seen[every_row] = len(part.rollouts)
            return grpo.policy_loss(log_probs, part, totals, options)

        learner.update(prepared(learner, rollouts), spy, grpo.Options(), every_row=every_row)
    # Of 12 rows, the 4 of the last group have equal rewards, and one of each other group is at its mean.
    assert seen == {False: int((prepared(learner, rollouts).advantages != 0).any(dim=1).sum()), True: 12}
    assert seen[False] <= 8


def test_recomputed_log_probs_and_importance_weights():
    """Weights that are turned upside down, not truncated, or taken of the wrong level."""
    model = make_model(torch.float64)
    rollouts = make_rollouts(model)
    for rollout in rollouts:
        rollout.log_probs = [value - 0.1 for value in rollout.log_probs]  # a sampler that is off by 0.1 a token
    learner = make_learner(model, old_log_probs="recompute", importance_cap=1.3)
    by_token = learner.prepare(rollouts)
    mask = by_token.mask.double()
    shift = (by_token.old_log_probs - by_token.sampled_log_probs) * mask
    torch.testing.assert_close(shift, 0.1 * mask, atol=1e-5, rtol=0)
    torch.testing.assert_close(by_token.weights * mask, math.exp(0.1) * mask, atol=1e-5, rtol=0)
    by_row = learner.prepare(rollouts, sequence_weights=True).weights
    lengths = torch.tensor([len(rollout.completion) for rollout in rollouts])
    assert lengths.min() <= 2 < lengths.max()  # weights below and above the cap
    expected = torch.exp(0.1 * lengths.double()).clamp(max=1.3)
    torch.testing.assert_close(by_row, expected[:, None].expand_as(by_row), atol=1e-5, rtol=0)
    assert make_learner(model).prepare(rollouts).weights is None


def test_reference_log_probs_are_the_references():
    """A KL against the policy itself, which is always zero."""
    model = make_model()
    rollouts = make_rollouts(model)
    batch = Learner(model, Settings(lr=1e-2, steps=1), reference=share_base(model)).prepare(rollouts)
    prompt, completion = rollouts[5].prompt, rollouts[5].completion
    base = init_model(CONFIG, seed=1)
    ids = torch.tensor([prompt + completion])
    log_probs = base.logits(base(ids, torch.tensor([ids.shape[1]]))).log_softmax(-1)[0]
    expected = [log_probs[len(prompt) - 1 + t, token].item() for t, token in enumerate(completion)]
    assert batch.ref_log_probs[5, : len(completion)].tolist() == pytest.approx(expected, abs=1e-5)
    assert not torch.allclose(batch.ref_log_probs, batch.old_log_probs, atol=1e-2)


def test_only_lora_weights_move():
    """The base trained along, or an optimizer with nothing in it."""
    model = make_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    learner = make_learner(model)
    metrics = learner.update(prepared(learner, make_rollouts(model)), *loss_of(gspo))
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name in before if "lora_" in name}
    squares = sum((p - before[name]).detach().double().square().sum().item() for name, p in model.named_parameters())
    assert metrics["adapter/update_norm"] == pytest.approx(squares**0.5, rel=1e-4)


def test_sampler_and_learner_gap_is_measured_and_small():
    """Training on log-probabilities of another distribution than the sampled one, unnoticed."""
    model = make_model()
    rollouts = make_rollouts(model)
    learner = make_learner(model)
    good = learner.update(prepared(learner, rollouts), *loss_of(grpo))
    assert good["sampling/sampling_logp_difference/max"] <= 1e-4
    rollouts = make_rollouts(model)
    learner = make_learner(model, temperature=0.7)
    wrong = learner.update(prepared(learner, rollouts), *loss_of(grpo))
    assert wrong["sampling/sampling_logp_difference/max"] > 1e-2


def test_the_gap_is_not_measured_after_a_step():
    """Learning within a batch counted as a difference between sampler and learner."""
    model = make_model()
    learner = make_learner(model, lr=1e-1, epochs=4)
    metrics = learner.update(prepared(learner, make_rollouts(model)), *loss_of(grpo))
    assert metrics["sampling/sampling_logp_difference/max"] <= 1e-4
    assert metrics["ratio/max"] > 1.05


def test_learning_rate_warms_up_and_decays():
    """A schedule off by one: a first step of zero, or a last one below zero."""
    learner = make_learner(make_model(), lr=1.0, steps=10, warmup=4)
    rates = []
    for learner.step in range(10):
        rates.append(learner.learning_rate(2.0))
    assert rates[:4] == [0.5, 1.0, 1.5, 1.4]
    assert rates[4:] == pytest.approx([1.2, 1.0, 0.8, 0.6, 0.4, 0.2])
    learner = make_learner(make_model(), steps=10, warmup=4, lr_schedule="constant")
    learner.step = 2
    assert learner.learning_rate(1.0) == 0.75
    learner.step = 9
    assert learner.learning_rate(1.0) == 1.0


def test_slices_cover_all_rows_once():
    """A rollout lost at the edge of a minibatch."""
    for count in range(1, 12):
        for parts in range(1, 6):
            slices = _slices(count, parts)
            assert [i for start, stop in slices for i in range(start, stop)] == list(range(count))
            assert max(b - a for a, b in slices) - min(b - a for a, b in slices) <= 1 or parts > count


def test_masks_come_from_lengths_not_from_ids():
    """EOS masked away because its id is also the padding's: the model then never learns to stop."""
    rollouts = [
        Rollout(0, 0, [3], [4, 0], [-1.0, -2.0], "eos", ""),
        Rollout(0, 1, [3], [5, 0, 0], [-1.0, -1.5, -3.0], "length", ""),
    ]
    assert length_mask(rollouts).tolist() == [[1, 1, 0], [1, 1, 1]]
    assert make_batch(rollouts).sampled_log_probs.tolist() == [[-1, -2, 0], [-1, -1.5, -3]]


def test_the_reward_table_has_a_line_for_each_prompt():
    """Groups cut at the wrong place: a size that is taken from elsewhere than the rollouts."""
    for groups, size in ((1, 4), (3, 2), (4, 1)):
        rollouts = [
            Rollout(f"p{i // size}", i % size, [3], [4], [], "eos", "", reward=i / 4) for i in range(groups * size)
        ]
        assert reward_table(rollouts).tolist() == [[(n * size + g) / 4 for g in range(size)] for n in range(groups)]


def test_truncated_completions_can_be_left_out_of_the_loss():
    """Overlong filtering that also hides them from the tokens that the critic and the KL in the reward see."""
    rollouts = [
        Rollout(0, 0, [3], [4, 0], [-1.0, -2.0], "eos", ""),
        Rollout(0, 1, [3], [5, 0, 0], [-1.0, -1.5, -3.0], "length", ""),
    ]
    batch = make_batch(rollouts, mask_truncated=True)
    assert batch.loss_mask.tolist() == [[1, 1, 0], [0, 0, 0]]
    assert batch.mask.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert torch.equal(make_batch(rollouts).loss_mask, batch.mask)


def test_rows_of_a_batch_are_cut_to_their_longest():
    """Tensors of one microbatch with the rows, or the width, of another."""
    rollouts = [Rollout(0, i, [3], [5] * n, [-0.5 * n] * n, "eos", "") for i, n in enumerate((2, 4, 1))]
    batch = make_batch(rollouts)
    batch.advantages = torch.arange(12.0).view(3, 4)
    part = batch.rows([2, 0])
    assert [len(rollout.completion) for rollout in part.rollouts] == [1, 2]
    assert part.mask.tolist() == [[1, 0], [1, 1]]
    assert part.old_log_probs.tolist() == [[-0.5, 0], [-1, -1]]
    assert part.advantages.tolist() == [[8, 9], [0, 1]]
    assert part.ref_log_probs is None
