"""PPO with a critic: proximal policy optimization (Schulman et al. 2017, arXiv 1707.06347) on tokens.

A token is an action, the text before it the state s_t. With rewards r_t (what the rollout locates at token t; the
rest of its reward, or all of it, on the last token), a critic V (rl/critic.py) and generalized advantage estimation
(Schulman et al. 2015, arXiv 1506.02438, eqs. 11 and 16):

    r_t     <- r_t - beta KL_t                                       the KL to the reference, per token
    delta_t  = r_t + gamma V(s_t+1) - V(s_t)                         V is 0 after the last token
    A_t      = sum_l (gamma lambda)^l delta_t+l                      then whitened over the tokens of the batch,
                                                                     and times the token's share (rl/credit.py)
    R_t      = A_t + V(s_t)                                          before whitening: what the critic learns
    L_policy = mean_t max( -w_t A_t, -clip(w_t, 1 - e_low, 1 + e_high) A_t ),    w_t = pi(o_t | s_t) / pi_old(o_t | s_t)
    L_value  = 1/2 mean_t max( (V - R)^2, (clip(V, V_old - e_v, V_old + e_v) - R)^2 )

and the loss is L_policy + c L_value (arXiv 1707.06347, eqs. 7, 9, 11, and the authors' code for the clip of V). As
policy and critic share no trained weight, each has its learning rate and its gradient norm. Options: an adaptive
beta (--kl-target; Ziegler et al. 2019), an early stop within a batch (--target-kl). What is left out: the entropy
bonus. A completion that ran out of its budget ends there: the value after its last token is 0, too.

    python experiments/run.py --algo ppo --reward staged
"""

import torch
from torch import Tensor

from rl import kl
from rl.critic import explained_variance
from rl.grpo import policy_loss  # L_policy: GRPO took it from here
from rl.learner import Learner, layout_of
from rl.loss import Totals
from rl.rollout import Batch, dense_rewards, token_values

DEFAULTS = {  # the options of run.py that PPO takes
    "clip_low": 0.2,
    "clip_high": 0.2,
    "value_clip": 0.2,
    "value_coef": 1.0,
    "gamma": 1.0,
    "gae_lambda": 0.95,
    "whiten": "yes",
    "kl_coef": 0.0,
    "kl_estimator": "k1",
    "kl_in": "reward",
    "kl_weighted": False,
    "kl_target": 0.0,  # nats a sequence; 0 keeps kl_coef fixed
    "kl_horizon": 10_000,  # sequences
    "target_kl": 0.0,  # nats a token; 0 is no early stop
    "critic": "lora",
}


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


def value_loss(
    values: Tensor,  # (B, T), with gradient
    old_values: Tensor,  # (B, T)
    returns: Tensor,  # (B, T)
    mask: Tensor,  # (B, T)
    totals: Totals,
    *,
    value_clip: float = DEFAULTS["value_clip"],
) -> tuple[Tensor, dict]:
    """L_value of the rows given, as their share of the optimizer step's mean over tokens; and metrics."""
    clipped = torch.clamp(values, old_values - value_clip, old_values + value_clip)  # (B, T)
    plain_error, clipped_error = (values - returns) ** 2, (clipped - returns) ** 2
    loss = 0.5 * (torch.maximum(plain_error, clipped_error) * mask).sum() / totals.tokens
    cut = (clipped_error > plain_error) & mask.bool()
    return loss, {"value_loss": float(loss.detach()), "value_clip_ratio": float(cut.sum()) / totals.tokens}


def train(learner: Learner, collect, log, options) -> None:
    """The loop. `collect(step)` samples, executes and rewards; `log(batch, metrics)` writes down."""
    kl_in_loss = options.kl_coef if options.kl_in == "loss" else 0.0
    learner.state.setdefault("kl_coef", options.kl_coef)  # beta: adapted from step to step, so part of the state

    def loss(log_probs: Tensor, batch: Batch, totals: Totals):
        policy, metrics = policy_loss(
            log_probs,
            batch.old_log_probs,
            batch.advantages,
            batch.loss_mask,
            totals,
            clip_low=options.clip_low,
            clip_high=options.clip_high,
            normalizer="token-mean",
            weights=batch.weights,
            ref_log_probs=batch.ref_log_probs,
            kl_coef=kl_in_loss,
            kl_estimator=options.kl_estimator,
            kl_weighted=options.kl_weighted,
        )
        values = learner.critic(*layout_of(batch.rollouts))  # (b, T)
        critic, more = value_loss(
            values, batch.values, batch.returns, batch.loss_mask, totals, value_clip=options.value_clip
        )
        return policy + options.value_coef * critic, metrics | more

    while learner.step < options.steps:
        batch = learner.prepare(collect(learner.step))
        rewards, measured = dense_rewards(batch.rollouts).to(batch.mask), {}  # r_t, (B, T)
        if options.kl_coef and options.kl_in == "reward":
            penalty, measured = kl.in_reward(
                options.kl_estimator, batch.old_log_probs, batch.ref_log_probs, batch.mask
            )  # (B, T)
            beta = learner.state["kl_coef"]
            rewards, measured["kl_coef"] = rewards - beta * penalty, beta
            if options.kl_target:
                per_sequence = float(penalty.sum(dim=1).mean())
                learner.state["kl_coef"] = kl.adapt_coefficient(
                    beta, per_sequence, options.kl_target, len(batch.rollouts), options.kl_horizon
                )
        if learner.step == 0:
            learner.critic.center(float(rewards.sum(dim=1).mean()))
        batch.values = learner.values(batch)  # (B, T)
        advantages, batch.returns = generalized_advantages(
            rewards, batch.values, batch.mask, options.gamma, options.gae_lambda
        )
        if options.whiten == "yes":
            advantages = whiten(advantages, batch.mask)
        batch.advantages = advantages * token_values(batch.rollouts, "token_weights", 1.0).to(batch.mask)
        # Of what the critic is trained on (R_t, which at lambda < 1 is partly made of its own values), and of the
        # rewards that did come.
        _, to_go = generalized_advantages(rewards, batch.values, batch.mask, options.gamma, gae_lambda=1.0)
        explained = {
            "explained_variance": explained_variance(batch.values, batch.returns, batch.mask),
            "explained_variance/rewards": explained_variance(batch.values, to_go, batch.mask),
        }
        measured |= {name: value for name, value in explained.items() if value is not None}
        metrics = learner.update(batch, loss, every_row=True, target_kl=options.target_kl)
        log(batch, metrics | measured)
