"""Checkpoints: what comes back, and what is left where the process is killed or a file is damaged."""

import json
import os
import random
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import rl.files.adapter
import rl.files.checkpoint
from rl import ppo
from rl.critic import Critic
from rl.files.adapter import load_adapter
from rl.files.checkpoint import checkpoints, read_state, restore_checkpoint, save_checkpoint
from rl.learner import Learner, Settings, layout_of
from rl.lora import add_lora
from rl.model import ModelConfig, init_model
from rl.rollout import Rollout

CONFIG = ModelConfig("qwen3", 40, 32, 64, 2, 4, 2, 8, tie_word_embeddings=True)
KINDS = (None, "linear", "lora", "copy")


def make_learner(kind, checkpoint=None, rank=2):
    """A new model and learner, with an adapter that starts anew or is the checkpoint's."""
    model = init_model(CONFIG, seed=1)
    if checkpoint is None:
        add_lora(model, rank=rank, alpha=4, seed=2)
    else:
        load_adapter(model, checkpoint)
    critic = Critic(model, kind, rank=rank, alpha=4, seed=3) if kind else None
    settings = Settings(lr=1e-2, steps=10, warmup=3, minibatches=2, epochs=2)
    return Learner(model, settings, critic=critic, critic_lr=1e-2)


def restored(checkpoint, kind, rank=2):
    learner = make_learner(kind, checkpoint, rank)
    restore_checkpoint(checkpoint, learner)
    return learner


def advance(learner, steps=1, critic_too=True):
    """A few updates on rollouts drawn from the learner's step alone; returns what was seen."""
    seen = []
    for _ in range(steps):
        rollouts, draw = [], random.Random(learner.step)
        for i in range(6):
            ids = [draw.randint(3, 39) for _ in range(draw.randint(1, 7))]
            log_probs = [draw.uniform(-4, -3) for _ in ids]
            rollouts.append(Rollout(i // 2, i % 2, [5, 6, 7][: i // 2 + 1], ids, log_probs, "eos", ""))
        batch = learner.prepare(rollouts)
        generator = torch.Generator().manual_seed(learner.step)
        batch.advantages = torch.randn(batch.mask.shape, generator=generator) * batch.mask
        batch.returns = torch.randn(batch.mask.shape, generator=generator) * batch.mask

        def loss(log_probs, part, totals, options):
            value, metrics = ppo.policy_loss(log_probs, part, totals, options)
            if learner.critic is not None and critic_too:
                values = learner.critic(*layout_of(part.rollouts))
                value = value + ((values - part.returns) ** 2 * part.loss_mask).sum()
            return value, metrics

        seen.append(learner.update(batch, loss, ppo.Options(clip_low=1.0, clip_high=1e9)))
        learner.state["kl_coef"] = learner.state.get("kl_coef", 0.1) * 1.1
    return seen


def everything(learner):
    """All that a run carries, as plain tensors and numbers by name."""
    found = {f"policy.{n}": p.detach().clone() for n, p in learner.model.named_parameters()}
    if learner.critic is not None:
        found |= {f"critic.{n}": p.detach().clone() for n, p in learner.critic.named_parameters()}
    for i, moments in learner.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{i}.{name}": value.clone() for name, value in moments.items()}
    return found | {"step": learner.step, "loop": dict(learner.state)}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        same = torch.equal(value, b[name]) if isinstance(value, torch.Tensor) else value == b[name]
        assert same, name


def files_of(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


# the trip ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_learner_goes_on_as_if_it_had_not_stopped(kind, tmp_path):
    """Moments, counts, the schedule's step, or a critic's weight that is not put back."""
    learner = make_learner(kind)
    advance(learner, 2)
    checkpoint = save_checkpoint(tmp_path, learner, "base", {"cursor": 7}, keep=2)
    at_the_stop = everything(learner)
    expected = advance(learner, 2)
    again = restored(checkpoint, kind)
    assert_same(everything(again), at_the_stop)
    assert advance(again, 2) == expected
    assert_same(everything(again), everything(learner))
    assert read_state(checkpoint)["extra"] == {"cursor": 7}


def test_what_was_never_stepped_has_no_moments(tmp_path):
    """Zero moments with a count of zero in their place: the first step of such a parameter would be another."""
    learner = make_learner("lora")
    untouched = save_checkpoint(tmp_path, learner, "base", {}, keep=9)  # nothing has moments
    assert load_file(untouched / "optimizer.safetensors") == {}
    assert_same(everything(restored(untouched, "lora")), everything(learner))
    advance(learner, 1, critic_too=False)  # the critic's parameters have none
    checkpoint = save_checkpoint(tmp_path, learner, "base", {}, keep=9)
    names = load_file(checkpoint / "optimizer.safetensors")
    assert {name.split(".")[0] for name in names} == {"policy"}
    expected = advance(learner, 2)
    again = restored(checkpoint, "lora")
    assert advance(again, 2) == expected
    assert_same(everything(again), everything(learner))


def test_a_checkpoint_is_json_and_safetensors(tmp_path):
    """A pickle, which runs code when it is read; a file that is there but says nothing."""
    learner = make_learner("copy")
    advance(learner)
    found = sorted(path.name for path in save_checkpoint(tmp_path, learner, "base", {}, keep=1).iterdir())
    assert found == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "critic.safetensors",
        "optimizer.safetensors",
        "trainer_state.json",
    ]
    for name in found:
        path = tmp_path / "checkpoint-1" / name
        if path.suffix == ".json":
            assert json.loads(path.read_text())
        else:
            with safe_open(path, framework="pt") as opened:
                assert opened.keys()


@pytest.mark.parametrize("keep", [1, 3])
def test_the_newest_are_kept(keep, tmp_path):
    """Rotation by name, which takes checkpoint-10 for older than checkpoint-9; or by date."""
    learner = make_learner(None)
    for learner.step in (8, 9, 10, 11):
        save_checkpoint(tmp_path, learner, "base", {}, keep)
    expected = [f"checkpoint-{step}" for step in (8, 9, 10, 11)[-keep:]]
    assert [path.name for path in checkpoints(tmp_path)] == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(expected)


def test_a_damaged_checkpoint_of_the_same_step_is_replaced(tmp_path):
    """A resume from an older one that cannot save over the damaged newer one when it comes there again."""
    learner = make_learner(None)
    advance(learner)
    checkpoint = save_checkpoint(tmp_path, learner, "base", {}, keep=2)
    whole = files_of(checkpoint)
    (checkpoint / "optimizer.safetensors").write_bytes(b"")
    (checkpoint / "left").write_bytes(b"")
    assert files_of(save_checkpoint(tmp_path, learner, "base", {}, keep=2)) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"]


# killed -----------------------------------------------------------------------------------------------------

# Every call through which saving touches the disk, as (where it is looked up, name, what is half of it).
CALLS = (
    (os, "rename", None),
    (os, "replace", None),
    (os, "fsync", None),
    (Path, "mkdir", None),
    (Path, "write_text", "first"),
    (rl.files.adapter, "save_file", "second"),
    (rl.files.checkpoint, "save_file", "second"),
    (shutil, "rmtree", "tree"),
)


def leave_half(how, arguments):
    """Undoes half of a call: a file cut to half its bytes, a tree without every other file."""
    if how == "tree":
        for path in sorted(Path(arguments[0]).iterdir())[::2]:
            path.unlink()
    else:
        path = Path(arguments[0] if how == "first" else arguments[1])
        os.truncate(path, path.stat().st_size // 2)


def save_and_die(run, learner, deadly, half):
    """In a child process: saves, and is killed before the `deadly`-th call, or half-way through it.

    Returns whether it was killed; False if saving came to its end first. None where the call has no half.
    """
    child = os.fork()
    if child == 0:
        count = 0

        def patched(real, how):
            def call(*arguments, **keywords):
                nonlocal count
                count += 1
                if count == deadly:
                    if half and how is None:
                        os._exit(3)
                    if half and how != "tree":
                        real(*arguments, **keywords)
                    if half:
                        leave_half(how, arguments)
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **keywords)

            return call

        try:
            for owner, name, how in CALLS:
                setattr(owner, name, patched(getattr(owner, name), how))
            save_checkpoint(run, learner, "base", {}, keep=2)
            os._exit(0)
        finally:
            os._exit(1)  # never back into pytest
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) in (0, 3)
    return None if os.WEXITSTATUS(status) == 3 else False


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Checkpoints of the steps 1 to 4, and what the learner was at each."""
    path = tmp_path_factory.mktemp("history")
    learner = make_learner("lora")
    states = {}
    for step in (1, 2, 3, 4):
        advance(learner)
        states[step] = everything(learner)
        save_checkpoint(path, learner, "base", {}, keep=9)
    return path, states


@pytest.mark.parametrize("half", [False, True], ids=["before", "half-way"])
def test_killed_at_any_moment_of_a_save(half, history, tmp_path):
    """Half a checkpoint under a whole one's name, the last whole one deleted too early, or litter that stays or that
    the next save stumbles over."""
    source, states = history
    fourth, third = (restored(source / f"checkpoint-{step}", "lora") for step in (4, 3))
    killed, deadly, newest_seen = True, 0, []
    while killed is not False:
        deadly += 1
        run = tmp_path / str(deadly)
        for step in (1, 2):
            shutil.copytree(source / f"checkpoint-{step}", run / f"checkpoint-{step}")
        killed = save_and_die(run, third, deadly, half)
        left = [path.name for path in checkpoints(run)]
        for name in left:  # to the last byte those that were written in peace, which restore below
            assert files_of(run / name) == files_of(source / name), (deadly, name)
        if killed:
            newest_seen.append(left[-1])
            save_checkpoint(run, fourth, "base", {}, keep=2)
            assert sorted(path.name for path in run.iterdir()) == [left[-1], "checkpoint-4"]
        elif killed is False:
            assert sorted(path.name for path in run.iterdir()) == ["checkpoint-2", "checkpoint-3"]
        shutil.rmtree(run)
    assert len(newest_seen) >= (6 if half else 19)  # file operations of a save
    assert newest_seen == sorted(newest_seen)
    assert set(newest_seen) == ({"checkpoint-2", "checkpoint-3"})  # both sides of the rename were seen
    for step in (2, 3):
        assert_same(everything(restored(source / f"checkpoint-{step}", "lora")), states[step])


# damaged ----------------------------------------------------------------------------------------------------


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def edit_json(change):
    def edit(path):
        value = json.loads(path.read_text())
        change(value)
        path.write_text(json.dumps(value))

    return edit


def edit_tensors(change):
    def edit(path):
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)

    return edit


def put(name, value):
    return edit_tensors(lambda tensors: tensors.__setitem__(name, value))


def drop(name):
    return edit_tensors(lambda tensors: tensors.__delitem__(name))


DAMAGE = {
    "state truncated": ("trainer_state.json", truncate, ["not JSON"]),
    "state without step": ("trainer_state.json", edit_json(lambda s: s.pop("global_step")), ["global_step"]),
    "step a string": ("trainer_state.json", edit_json(lambda s: s.update(global_step="3")), ["global_step"]),
    "loop a list": ("trainer_state.json", edit_json(lambda s: s.update(loop=[])), ["loop"]),
    "no extra": ("trainer_state.json", edit_json(lambda s: s.pop("extra")), ["extra"]),
    "optimizer truncated": ("optimizer.safetensors", truncate, ["not a safetensors file"]),
    "optimizer gone": ("optimizer.safetensors", Path.unlink, ["cannot be read"]),
    "moment gone": ("optimizer.safetensors", drop("policy.1.exp_avg"), ["policy.1.exp_avg", "missing"]),
    "moment of another rank": (
        "optimizer.safetensors",
        put("policy.0.exp_avg_sq", torch.zeros(4, 32)),
        ["policy.0.exp_avg_sq", "(4, 32)", "(2, 32)"],
    ),
    "count of another shape": ("optimizer.safetensors", put("policy.0.step", torch.ones(3)), ["policy.0.step"]),
    "moment too many": ("optimizer.safetensors", put("policy.99.step", torch.tensor(1.0)), ["policy.99.step"]),
    "critic truncated": ("critic.safetensors", truncate, ["not a safetensors file"]),
    "critic gone": ("critic.safetensors", Path.unlink, ["cannot be read"]),
    "critic's head gone": ("critic.safetensors", drop("head.bias"), ["head.bias", "missing"]),
    "critic's head of another width": ("critic.safetensors", put("head.weight", torch.ones(1, 8)), ["head.weight"]),
    "critic's tensor too many": ("critic.safetensors", put("other", torch.ones(1)), ["other"]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(name, history, tmp_path):
    """A traceback without the file, or a run that goes on with half of its state."""
    file, damage, words = DAMAGE[name]
    checkpoint = tmp_path / "checkpoint-3"
    shutil.copytree(history[0] / "checkpoint-3", checkpoint)
    damage(checkpoint / file)
    learner = make_learner("lora", checkpoint)
    with pytest.raises(ValueError, match=file.replace(".", r"\.")) as caught:
        restore_checkpoint(checkpoint, learner)
    message = str(caught.value)
    assert str(checkpoint) in message
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_an_adapter_of_another_rank_is_refused(history):
    """Moments of rank 2 put beside an adapter of rank 4, which fails only at the next step."""
    learner = make_learner("lora", rank=4)
    with pytest.raises(ValueError, match=r"optimizer\.safetensors: tensor policy\.0\.exp_avg"):
        restore_checkpoint(history[0] / "checkpoint-3", learner)
