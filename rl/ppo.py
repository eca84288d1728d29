"""PPO with a critic: proximal policy optimization (Schulman et al. 2017, arXiv 1707.06347) on tokens.

A token is an action, the text before it the state s_t. With rewards r_t (those placed at token t, the rest on
the last token), a critic V (rl/critic.py) and generalized advantage estimation (Schulman et al. 2015,
arXiv 1506.02438, eqs. 11 and 16):

    r_t     <- r_t - beta KL_t                                       the KL to the reference, per token
    delta_t  = r_t + gamma V(s_t+1) - V(s_t)                         V is 0 after the last token
    A_t      = sum_l (gamma lambda)^l delta_t+l                      then whitened over the tokens of the batch,
                                                                     and times the token's weight (rl/credit.py)
    R_t      = A_t + V(s_t)                                          before whitening: the critic's target
    L_policy = mean_t max( -w_t A_t, -clip(w_t, 1 - e_low, 1 + e_high) A_t ),    w_t = pi(o_t | s_t) / pi_old(o_t | s_t)
    L_value  = 1/2 mean_t max( (V - R)^2, (clip(V, V_old - e_v, V_old + e_v) - R)^2 )

and the loss is L_policy + c L_value (arXiv 1707.06347, eqs. 7, 9, 11, and the authors' code for the clip of V). Policy
and critic share no trained weight, so each has its learning rate and its gradient norm. Options: an adaptive beta
(--kl-target; Ziegler et al. 2019), an early stop within a batch (--target-kl). What is left out: the entropy bonus. A
completion that used up its budget counts as ended: the value after its last token is 0, too.

    python experiments/run.py --algo ppo --reward staged
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rl import critic, kl
from rl.credit import dense_rewards, token_values
from rl.learner import Learner, layout_of
from rl.loss import Totals, clipped_loss, normalize
from rl.options import option
from rl.rollout import Batch

ON_POLICY, GROUPED = True, False  # learns from own samples; compares no samples of one prompt
DEFAULTS = {}


@dataclass
class Options:
    clip_low: float = option(0.2, "clip range of the ratio below 1", least=0)
    clip_high: float = option(0.2, "clip range of the ratio above 1", least=0)
    gamma: float = option(1.0, "discount per token", least=0, most=1)
    gae_lambda: float = option(0.95, "lambda of the advantage estimation", least=0, most=1)
    whiten: bool = option(True, "whiten the advantages")
    critic: str = option("lora", "what the critic learns (rl/critic.py)", choices=critic.KINDS)
    critic_lr: float = option(0.0, "peak learning rate of the critic; 0 is 0.01, for a copy 0.002", least=0, real=1e-5)
    value_clip: float = option(0.2, "clip range of the values", least=0)
    value_coef: float = option(1.0, "weight of the value loss", least=0)
    target_kl: float = option(0.0, "end a step's updates at this KL from its start, nats a token; 0 is never", least=0)
    kl_coef: float = option(0.0, "weight of the KL to the reference; 0 is none", least=0)
    kl_estimator: str = option("k1", "estimator of the KL (rl/kl.py)", choices=kl.ESTIMATORS)
    kl_in: str = option("reward", "where the KL stands", choices=("loss", "reward"))
    kl_weighted: bool = option(False, "weight the KL in the loss by the ratio: an unbiased gradient")
    kl_target: float = option(0.0, "adapt kl_coef towards this KL of a sequence, in nats; 0 is fixed", least=0)
    kl_horizon: int = option(10_000, "sequences over which kl_coef adapts", least=1)

    def check(self, run) -> None:
        """ValueError, one line, for options that contradict each other."""
        kl.check(self)
        if self.kl_target and not (self.kl_coef and self.kl_in == "reward"):
            raise ValueError("--kl-target: there is no KL in the reward; it needs --kl-coef and --kl-in reward")
        if self.kl_horizon != Options.kl_horizon and not self.kl_target:
            raise ValueError("--kl-horizon: does nothing without --kl-target")
        self.critic_lr = self.critic_lr or (2e-3 if self.critic == "copy" else 1e-2)


def generalized_advantages(
    rewards: Tensor,  # (B, T)
    values: Tensor,  # (B, T)
    mask: Tensor,  # (B, T), 1.0 at completion tokens
    gamma: float,
    gae_lambda: float,
) -> tuple[Tensor, Tensor]:
    """A_t and R_t, two of (B, T), 0 at the padding.

    Example: rewards [0, 0, 1], values 0.5 each, gamma = lambda = 1: A = [0.5, 0.5, 0.5], R = [1, 1, 1].
    """
    rewards, values = rewards * mask, values * mask
    advantages = torch.zeros_like(values)
    later = torch.zeros_like(values[:, 0])  # A_t+1, (B,)
    for t in reversed(range(values.shape[1])):
        next_value = values[:, t + 1] if t + 1 < values.shape[1] else 0.0  # 0 at the padding as well
        delta = rewards[:, t] + gamma * next_value - values[:, t]  # (B,)
        later = advantages[:, t] = delta + gamma * gae_lambda * later
    return advantages, advantages + values


def whiten(advantages: Tensor, mask: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 (divisor n - 1) over the n real tokens: (B, T) -> (B, T)."""
    real = advantages[mask.bool()]  # (n,)
    return (advantages - real.mean()) / (real.std() + 1e-8) * mask


def policy_loss(log_probs: Tensor, batch: Batch, totals: Totals, options: Options) -> tuple[Tensor, dict]:
    """L_policy of the rows given, as their share of the step's mean. log_probs (b, T) carry the gradient."""
    loss, metrics = clipped_loss(log_probs, batch, totals, options.clip_low, options.clip_high, "token-mean")
    if options.kl_coef and options.kl_in == "loss":
        penalty = kl.in_loss(log_probs, batch, options)  # KL_t, (b, T)
        loss = loss + options.kl_coef * normalize(penalty, batch.loss_mask, totals, "token-mean")
        metrics["kl"] = float((penalty.detach() * batch.loss_mask).sum()) / totals.tokens
    return loss, metrics


def value_loss(values: Tensor, batch: Batch, totals: Totals, value_clip: float) -> tuple[Tensor, dict]:
    """L_value of the rows given, as their share of the step's mean over tokens. values (b, T) carry the gradient."""
    clipped = torch.clamp(values, batch.values - value_clip, batch.values + value_clip)  # (b, T)
    plain_error, clipped_error = (values - batch.returns) ** 2, (clipped - batch.returns) ** 2
    loss = 0.5 * (torch.maximum(plain_error, clipped_error) * batch.loss_mask).sum() / totals.tokens
    cut = (clipped_error > plain_error) & batch.loss_mask.bool()
    return loss, {"value_loss": float(loss.detach()), "value_clip_ratio": float(cut.sum()) / totals.tokens}


def shaped_rewards(learner: Learner, batch: Batch, options: Options) -> tuple[Tensor, dict]:
    """r_t less the KL in the reward, (B, T), and metrics. Adapts beta, a number that belongs to the learner's state."""
    rewards = dense_rewards(batch.rollouts).to(batch.mask)  # r_t, (B, T)
    if not options.kl_coef or options.kl_in != "reward":
        return rewards, {}
    beta = learner.state.setdefault("kl_coef", options.kl_coef)
    penalty, metrics = kl.in_reward(batch, options.kl_estimator)  # (B, T)
    if options.kl_target:
        per_sequence = float(penalty.sum(dim=1).mean())
        learner.state["kl_coef"] = kl.adapt_coefficient(
            beta, per_sequence, options.kl_target, len(batch.rollouts), options.kl_horizon
        )
    return rewards - beta * penalty, metrics | {"kl_coef": beta}


def explained_variances(rewards: Tensor, batch: Batch, gamma: float) -> dict:
    """Of the critic's targets, which at lambda < 1 contain its own values, and of the rewards that really came."""
    _, to_go = generalized_advantages(rewards, batch.values, batch.mask, gamma, gae_lambda=1.0)
    explained = {
        "explained_variance": critic.explained_variance(batch.values, batch.returns, batch.mask),
        "explained_variance/rewards": critic.explained_variance(batch.values, to_go, batch.mask),
    }
    return {name: value for name, value in explained.items() if value is not None}


def train(learner: Learner, collect, log, options: Options) -> None:
    """The loop. `collect(step)` samples, judges and rewards; `log(batch, metrics)` writes down."""

    def loss(log_probs: Tensor, batch: Batch, totals: Totals, options: Options) -> tuple[Tensor, dict]:
        policy, metrics = policy_loss(log_probs, batch, totals, options)
        values = learner.critic(*layout_of(batch.rollouts))  # (b, T)
        value, more = value_loss(values, batch, totals, options.value_clip)
        return policy + options.value_coef * value, metrics | more

    while learner.step < learner.settings.steps:
        batch = learner.prepare(collect(learner.step))
        rewards, metrics = shaped_rewards(learner, batch, options)  # (B, T)
        if learner.step == 0:
            learner.critic.center(float(rewards.sum(dim=1).mean()))
        batch.values = learner.values(batch)  # (B, T)
        advantages, batch.returns = generalized_advantages(
            rewards, batch.values, batch.mask, options.gamma, options.gae_lambda
        )
        if options.whiten:
            advantages = whiten(advantages, batch.mask)
        batch.advantages = advantages * token_values(batch.rollouts, "token_weights", 1.0).to(batch.mask)
        metrics |= explained_variances(rewards, batch, options.gamma)
        log(batch, metrics | learner.update(batch, loss, options, every_row=True, target_kl=options.target_kl))
