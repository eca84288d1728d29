"""GRPO, GSPO and RLOO against TRL's own code: the same logits, masks, rewards through its trainers and through ours.

TRL's trainers are real ones, over a model of one tiny layer that is never run: the log-probabilities are given.
"""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from rl import grpo, gspo, kl, rloo
from rl.loss import Totals
from rl.rollout import Batch, Rollout

trl = pytest.importorskip("trl", reason="install the extra: pip install -e '.[peers]'")
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # TRL's use of transformers

BUDGET = 13  # tokens that a completion may have
WORDS = ["<pad>", "<eos>", "a", "b", "c", "d"]
LOSS_TYPES = {"grpo": "sequence-mean", "dapo": "token-mean", "bnpo": "token-mean", "dr_grpo": "constant"}


def make_trainer(directory, algorithm: str, rewards=(), group_size=2, **options):
    """TRL's trainer of an algorithm (GRPO | RLOO); its reward function returns `rewards`, whatever the completions."""
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="a"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "head_dim": 8}
    heads = {"num_attention_heads": 1, "num_key_value_heads": 1}
    config = getattr(trl, f"{algorithm}Config")(
        output_dir=str(directory),
        report_to="none",
        use_cpu=True,
        bf16=False,
        beta=0.0,  # a test sets trainer.beta later: here it would ask for a reference model
        num_generations=group_size,
        per_device_train_batch_size=group_size,
        max_completion_length=BUDGET,
        **options,
    )
    trainer = getattr(trl, f"{algorithm}Trainer")(
        model=Qwen3ForCausalLM(Qwen3Config(vocab_size=len(WORDS), **sizes, **heads)),
        reward_funcs=lambda completions, **_: list(rewards),
        args=config,
        train_dataset=Dataset.from_dict({"prompt": ["a b"]}),
        processing_class=PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>"),
    )
    trainer.current_gradient_accumulation_steps = 1  # what its training loop would set
    return trainer


# losses ----------------------------------------------------------------------------------------------------


@dataclass
class Case:
    logits: Tensor  # (B, T, V), with gradient; float64, as is all else
    tokens: Tensor  # (B, T)
    old: Tensor  # (B, T)
    reference: Tensor  # (B, T)
    weights: Tensor  # (B, T)
    advantages: Tensor  # (B, T)
    mask: Tensor  # (B, T)

    @property
    def totals(self) -> Totals:
        return Totals(len(self.mask), int(self.mask.sum()), BUDGET)

    def log_probs(self) -> Tensor:
        return self.logits.log_softmax(-1).gather(-1, self.tokens[..., None]).squeeze(-1)  # (B, T)


def make_case(seed: int, noise: float, per_token: bool = False, masked_rows=(), rows=16, width=9) -> Case:
    """`noise`: how far the old log-probabilities of single tokens are from the new ones."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    logits = normal(rows, width, len(WORDS)).requires_grad_()
    tokens = torch.randint(len(WORDS), (rows, width), generator=generator)
    lengths = torch.randint(1, width + 1, (rows,), generator=generator)
    mask = (torch.arange(width) < lengths[:, None]).double()
    mask[list(masked_rows)] = 0.0
    case = Case(logits, tokens, mask, mask, mask, mask, mask)
    new = case.log_probs().detach()
    case.old, case.reference = new + noise * normal(rows, width), new + 0.5 * normal(rows, width)
    case.weights = 0.3 + torch.rand(rows, width, generator=generator, dtype=torch.float64)
    case.advantages = normal(rows, width) if per_token else normal(rows, 1).expand(rows, width)
    return case


def trl_loss(trainer, case: Case, advantages: Tensor, rows=slice(None)) -> tuple[Tensor, Tensor, dict]:
    """TRL's loss of some rows of the case, its gradient (B, T, V), and what it logs."""
    log_probs, mask = case.log_probs()[rows], case.mask[rows].long()
    trainer._get_per_token_logps_and_entropies = lambda *_, **__: (log_probs, torch.zeros_like(log_probs), None)
    inputs = {
        "prompt_ids": torch.ones(len(mask), 1, dtype=torch.long),
        "prompt_mask": torch.ones(len(mask), 1, dtype=torch.long),
        "completion_ids": case.tokens[rows],
        "completion_mask": mask,
        "advantages": advantages[rows],
        "old_per_token_logps": case.old[rows],  # GRPO's name
        "old_logps": (case.old * case.mask).sum(dim=1)[rows],  # RLOO's
        "ref_per_token_logps": case.reference[rows],
        "importance_sampling_ratio": case.weights[rows],
        "num_items_in_batch": case.mask.sum(),
    }
    loss = trainer._compute_loss(trainer.model, inputs)
    (gradient,) = torch.autograd.grad(loss, case.logits)
    return loss.detach(), gradient, {name: values[-1] for name, values in trainer._metrics["train"].items()}


def our_loss(algorithm, case: Case, weights=None, **options) -> tuple[Tensor, Tensor, dict]:
    data = Batch([], torch.ones_like(case.mask), case.mask, case.old + 9, case.old, weights, case.reference)
    data.advantages = case.advantages
    loss, metrics = algorithm.policy_loss(case.log_probs(), data, case.totals, algorithm.Options(**options))
    (gradient,) = torch.autograd.grad(loss, case.logits)
    return loss.detach(), gradient, metrics


def assert_same(ours, theirs, names=("clip_ratio/low_mean", "clip_ratio/high_mean")) -> None:
    """Value, gradient and metrics. The bar of the project is 1e-5; both sides here compute in float64."""
    assert theirs[1].abs().max() > 1e-6
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-11, atol=1e-13)
    for name in names:
        assert ours[2][name] == pytest.approx(theirs[2][name], rel=1e-6)


def assert_every_branch(log_ratio: Tensor, advantages: Tensor, low: float, high: float) -> None:
    """Below, within and above the clip range, each with advantages of either sign: else a case would prove little."""
    for sign in (-1, 1):
        ratio = log_ratio.exp()[advantages * sign > 0]
        assert (ratio < 1 - low).any()
        assert ((ratio > 1 - low) & (ratio < 1 + high)).any()
        assert (ratio > 1 + high).any()


def token_log_ratio(case: Case) -> tuple[Tensor, Tensor]:
    """log r_it and A_it of the real tokens, (M,) each."""
    real = case.mask.bool()
    return (case.log_probs().detach() - case.old)[real], case.advantages[real]


def sequence_log_ratio(case: Case, mean: bool) -> tuple[Tensor, Tensor]:
    """The mean or the sum of a row's log r_it and its A_i, (B,) each, of the rows that are not masked out."""
    rows = case.mask.any(dim=1)
    log_ratio = ((case.log_probs().detach() - case.old) * case.mask).sum(dim=1)[rows]
    return log_ratio / case.mask.sum(dim=1)[rows] if mean else log_ratio, case.advantages[rows, 0]


@pytest.mark.parametrize("penalty", ["none", "k3", "k3-weighted"])
@pytest.mark.parametrize("per_token", [False, True])
@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_grpo_loss_is_trls(tmp_path, loss_type, per_token, penalty):
    """A normaliser of another name, a clip on the wrong side, one clip bound for both, a reversed or unweighted KL."""
    trainer = make_trainer(tmp_path, "GRPO", loss_type=loss_type, epsilon=0.2, epsilon_high=0.28)
    trainer.beta = 0.0 if penalty == "none" else 0.3
    trainer.args.use_bias_correction_kl = penalty == "k3-weighted"
    case = make_case(0, noise=0.4, per_token=per_token)
    assert_every_branch(*token_log_ratio(case), 0.2, 0.28)
    theirs = trl_loss(trainer, case, case.advantages if per_token else case.advantages[:, 0])
    ours = our_loss(
        grpo,
        case,
        clip_low=0.2,
        clip_high=0.28,
        loss_normalizer=LOSS_TYPES[loss_type],
        kl_coef=trainer.beta,
        kl_weighted=trainer.args.use_bias_correction_kl,
    )
    assert_same(ours, theirs)
    assert ("kl" in ours[2]) == ("kl" in theirs[2]) == (penalty != "none")
    if penalty != "none":
        assert_same(ours, theirs, names=["kl"])


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_grpo_loss_with_importance_weights_is_trls(tmp_path, loss_type):
    """Weights that are applied before the clip, or to the KL as well."""
    trainer = make_trainer(tmp_path, "GRPO", loss_type=loss_type)
    trainer.use_vllm, trainer.vllm_importance_sampling_correction, trainer.beta = True, True, 0.3
    case = make_case(1, noise=0.4)
    assert_every_branch(*token_log_ratio(case), 0.2, 0.2)
    theirs = trl_loss(trainer, case, case.advantages[:, 0])
    options = {"kl_coef": 0.3, "kl_weighted": True, "clip_high": 0.2, "loss_normalizer": LOSS_TYPES[loss_type]}
    ours = our_loss(grpo, case, weights=case.weights, **options)
    assert_same(ours, theirs, names=["clip_ratio/low_mean", "clip_ratio/high_mean", "kl"])
    assert not torch.allclose(ours[1], our_loss(grpo, case, **options)[1])


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_grpo_loss_with_masked_rows_is_trls(tmp_path, loss_type):
    """Rows that are masked out and divide 0 by 0, or are left out of the mean over rows."""
    trainer = make_trainer(tmp_path, "GRPO", loss_type=loss_type)
    trainer.beta = 0.3
    case = make_case(2, noise=0.4, masked_rows=[0, 7, 8])
    assert_every_branch(*token_log_ratio(case), 0.2, 0.2)
    theirs = trl_loss(trainer, case, case.advantages[:, 0])
    options = {"kl_coef": 0.3, "kl_weighted": True, "clip_high": 0.2, "loss_normalizer": LOSS_TYPES[loss_type]}
    ours = our_loss(grpo, case, **options)
    assert_same(ours, theirs, names=["clip_ratio/low_mean", "clip_ratio/high_mean", "kl"])
    assert (ours[1][[0, 7, 8]] == 0).all()


@pytest.mark.parametrize("loss_type", ["grpo", "dapo", "dr_grpo"])  # bnpo's mean is over one microbatch
def test_trls_accumulated_microbatches_are_our_step(tmp_path, loss_type):
    """Totals of an optimizer step that mean something else than TRL's gradient accumulation."""
    trainer = make_trainer(tmp_path, "GRPO", loss_type=loss_type, gradient_accumulation_steps=2)
    trainer.current_gradient_accumulation_steps = 2
    case = make_case(3, noise=0.4, masked_rows=[1])
    assert case.mask[:8].sum() != case.mask[8:].sum()
    halves = [trl_loss(trainer, case, case.advantages[:, 0], rows) for rows in (slice(0, 8), slice(8, 16))]
    ours = our_loss(grpo, case, clip_high=0.2, loss_normalizer=LOSS_TYPES[loss_type])
    torch.testing.assert_close(ours[1], halves[0][1] + halves[1][1], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("extra", ["plain", "kl", "weights", "masked-rows"])
@pytest.mark.parametrize("level", gspo.LEVELS)
def test_gspo_loss_is_trls(tmp_path, level, extra):
    """A sum in place of the mean of log-ratios, padding within it, or a clip that cuts tokens and not rows.

    TRL has the sequence level only; with one advantage a row, GSPO-token has its value and its gradient.
    """
    low, high = gspo.Options().clip_low, gspo.Options().clip_high
    trainer = make_trainer(
        tmp_path,
        "GRPO",
        loss_type="grpo",
        importance_sampling_level="sequence",
        epsilon=3e-4,  # the paper's
        epsilon_high=4e-4,
    )
    case = make_case(4, noise=1e-3, rows=32, masked_rows=[0, 9] if extra == "masked-rows" else [])
    assert_every_branch(*sequence_log_ratio(case, mean=True), low, high)
    options = {}
    if extra == "kl":
        trainer.beta, trainer.args.use_bias_correction_kl = 0.3, False  # TRL weights by s_i, ours by the token's ratio
        options = {"kl_coef": 0.3}
    if extra == "weights":
        trainer.use_vllm, trainer.vllm_importance_sampling_correction = True, True
        if level == "token":  # a weight that differs from token to token weighs other gradients than s_i's
            case.weights = case.weights[:, :1].expand_as(case.mask)
        options = {"weights": case.weights}
    theirs = trl_loss(trainer, case, case.advantages[:, 0])
    ours = our_loss(gspo, case, ratio_level=level, **options)
    assert_same(ours, theirs)
    if extra == "kl":
        assert_same(ours, theirs, names=["kl"])


def test_gspo_token_value_is_trls_for_an_advantage_per_token(tmp_path):
    """GSPO-token that clips by the token's own ratio. Its gradient is not TRL's, whose ratio is the row's."""
    trainer = make_trainer(tmp_path, "GRPO", loss_type="grpo", importance_sampling_level="sequence", epsilon=0.05)
    case = make_case(5, noise=0.2, per_token=True, rows=32)
    assert_every_branch(*sequence_log_ratio(case, mean=True), 0.05, 0.05)
    theirs = trl_loss(trainer, case, case.advantages)
    ours = our_loss(gspo, case, ratio_level="token", clip_low=0.05, clip_high=0.05)
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-11, atol=1e-13)


def test_rloo_loss_is_trls(tmp_path):
    """A ratio that is a token's, or a mean in place of the sum; a clip that cuts the wrong rows."""
    trainer = make_trainer(tmp_path, "RLOO", epsilon=0.2, epsilon_high=0.28)
    for seed in range(3):
        case = make_case(seed, noise=0.2, rows=32)
        assert_every_branch(*sequence_log_ratio(case, mean=False), 0.2, 0.28)
        theirs = trl_loss(trainer, case, case.advantages[:, 0])
        assert_same(our_loss(rloo, case, clip_low=0.2, clip_high=0.28), theirs)


def test_rloo_loss_with_masked_rows_has_trls_gradient(tmp_path):
    """A row that is masked out and still has a gradient, or is left out of the mean over rows.

    In TRL such a row adds -A_i to the value, as its ratio is 1; ours adds 0. Neither has a gradient.
    """
    trainer = make_trainer(tmp_path, "RLOO")
    case = make_case(6, noise=0.2, rows=32, masked_rows=[0, 9])
    assert_every_branch(*sequence_log_ratio(case, mean=False), 0.2, 0.2)
    theirs = trl_loss(trainer, case, case.advantages[:, 0])
    ours = our_loss(rloo, case)
    constant = -case.advantages[[0, 9], 0].sum() / 32
    assert_same((ours[0] + constant, *ours[1:]), theirs)


# advantages ------------------------------------------------------------------------------------------------

GROUP = 8
REWARDS = [
    [0.0, 0.2, 1.0, 0.0, 0.6, 0.3, 0.2, 1.0],
    [1.0] * GROUP,
    [0.7] * GROUP,  # a mean that is not 0.7 in float32
    [0.0] * (GROUP - 1) + [1.0],
    [0.1] * (GROUP - 1) + [0.2],
]
SPREAD, EQUAL = [0, 3, 4], [1, 2]


def trl_advantages(trainer, completions: list[list[int]]) -> Tensor:
    """TRL's own scoring of the completions, (N, G): only the generation and the log-probabilities are given."""
    prompt, texts = [2, 3], ["" for _ in completions]
    generated = {
        "GRPOTrainer": ([prompt] * len(texts), completions, None, texts, None, {}, None, None),
        "RLOOTrainer": ([prompt] * len(texts), completions, texts),
    }
    trainer._generate = lambda _: generated[type(trainer).__name__]
    return trainer._generate_and_score_completions([{"prompt": "a b"} for _ in completions])["advantages"].view(
        -1, GROUP
    )


def make_completions() -> tuple[list[list[int]], Tensor]:
    """Completions of several lengths, and their mask (B, T)."""
    lengths = torch.tensor([1 + i % 5 for i in range(len(REWARDS) * GROUP)])
    return [[2] * int(length) for length in lengths], (torch.arange(5) < lengths[:, None]).double()


@pytest.mark.parametrize("scale", grpo.SCALES)
def test_group_advantages_are_trls(tmp_path, scale):
    """The biased deviation, another epsilon, or a deviation over the wrong rewards.

    Where all rewards of a group are equal TRL keeps the round-off of their mean; ours is exactly zero.
    """
    rewards = torch.tensor(REWARDS)  # float32, as in TRL
    assert (rewards[2] != rewards[2].mean()).all()  # the trap is real
    trainer = make_trainer(tmp_path, "GRPO", rewards.flatten().tolist(), GROUP, scale_rewards=scale)
    theirs = trl_advantages(trainer, make_completions()[0])
    ours, _ = grpo.group_advantages(rewards, scale)
    assert ours[SPREAD].abs().min() > 1e-3
    torch.testing.assert_close(ours[SPREAD], theirs[SPREAD], rtol=1e-5, atol=0)
    assert (ours[EQUAL] == 0).all()
    assert theirs[EQUAL].abs().max() < 1e-2


def test_leave_one_out_advantages_are_trls(tmp_path):
    """A baseline with the sample itself in it, or a division by G."""
    rewards = torch.tensor(REWARDS)
    trainer = make_trainer(tmp_path, "RLOO", rewards.flatten().tolist(), GROUP)
    theirs = trl_advantages(trainer, make_completions()[0])
    ours = rloo.leave_one_out_advantages(rewards)
    torch.testing.assert_close(ours[SPREAD], theirs[SPREAD], rtol=1e-5, atol=0)
    assert (ours[EQUAL] == 0).all()
    assert theirs[EQUAL].abs().max() < 1e-6


def test_leave_one_out_advantages_with_kl_in_the_reward_are_trls(tmp_path):
    """A reversed KL, one that is a mean over tokens, or one that counts padding."""
    rewards, (completions, mask) = torch.tensor(REWARDS), make_completions()
    generator = torch.Generator().manual_seed(0)
    old, reference = -torch.rand(2, *mask.shape, generator=generator, dtype=torch.float64)
    trainer = make_trainer(tmp_path, "RLOO", rewards.flatten().tolist(), GROUP)
    trainer.beta, trainer.ref_model = 0.3, object()
    trainer._get_per_token_logps_and_entropies = lambda model, *_, **__: (
        reference if model is trainer.ref_model else old,
        None,
        None,
    )
    theirs = trl_advantages(trainer, completions)
    rollouts = [
        Rollout(i // GROUP, i % GROUP, [2, 3], completion, [], "eos", "", reward=reward)
        for i, (completion, reward) in enumerate(zip(completions, rewards.flatten().tolist(), strict=True))
    ]
    data = Batch(rollouts, mask, mask, old + 9, old, ref_log_probs=reference)
    penalized, metrics = kl.penalized_rewards(data, "k1", 0.3)  # (N, G)
    ours = rloo.leave_one_out_advantages(penalized)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-8)
    assert metrics["kl"] == pytest.approx(trainer._metrics["train"]["kl"][-1], rel=1e-6)
    assert (ours[EQUAL] != 0).all()  # the KL alone makes a difference
