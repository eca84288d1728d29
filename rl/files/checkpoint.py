"""Training state: a resumed run equals one that was never stopped. JSON and safetensors, no pickles.

`checkpoint-N/` in the run's directory holds the state after N steps, named as Hugging Face's Trainer names it:

    adapter_config.json, adapter_model.safetensors   the policy's adapter: a PEFT directory like any other
    optimizer.safetensors                            AdamW's moments and counts
    critic.safetensors                               the critic's trained weights, if there is one
    trainer_state.json                               steps, the loop's numbers, and the caller's `extra`

No generator state is kept: each rollout's draws depend only on (seed, step, prompt id, sample index). A checkpoint is
written under another name, flushed to disk and renamed, so a directory with its name is complete, also after a kill.
"""

import json
import os
import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rl.files.adapter import save_adapter
from rl.files.config import read_json
from rl.files.weights import open_tensors
from rl.learner import Learner

STATE_FILE = "trainer_state.json"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def save_checkpoint(run: Path, learner: Learner, base_model: str, extra: dict, keep: int) -> Path:
    """Writes `run/checkpoint-N` after N steps, then deletes all but the newest `keep`. `extra` is JSON."""
    final = run / f"checkpoint-{learner.step}"
    temporary = run / f"{final.name}.tmp"
    for left in (*run.glob("checkpoint-*.tmp"), *run.glob("checkpoint-*.old")):
        shutil.rmtree(left)  # of a process that was killed
    temporary.mkdir(parents=True)
    save_adapter(learner.model, temporary, base_model)
    save_file(_moments(learner), temporary / "optimizer.safetensors")
    if learner.critic is not None:
        save_file(_critic_weights(learner), temporary / "critic.safetensors")
    state = {"global_step": learner.step, "loop": learner.state, "extra": extra}
    (temporary / STATE_FILE).write_text(json.dumps(state) + "\n", encoding="utf-8")
    for path in (*temporary.iterdir(), temporary):
        _flush(path)
    _delete(final)  # exists only if an older checkpoint was put back by hand
    os.rename(temporary, final)
    _flush(run)
    for old in checkpoints(run)[:-keep]:
        _delete(old)
    return final


def checkpoints(run: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    found = {int(match[1]): path for path in run.glob("checkpoint-*") if (match := _match(path))}
    return [found[step] for step in sorted(found)]


def read_state(checkpoint: Path) -> dict:
    """The content of `trainer_state.json`. ValueError, one line, if it cannot be read or a field is wrong."""
    path = checkpoint / STATE_FILE
    state = read_json(path)
    for name, kind in (("global_step", int), ("loop", dict), ("extra", dict)):
        if not isinstance(state.get(name), kind):
            raise ValueError(
                f"{path}: {name}: missing, or no {kind.__name__}; delete the directory to use an older one"
            )
    return state


def restore_checkpoint(checkpoint: Path, learner: Learner) -> None:
    """Restores optimizer, critic, step and state. The caller loads the adapter with `load_adapter` before it makes the
    learner. ValueError, one line, for a checkpoint that does not fit."""
    state = read_state(checkpoint)
    _restore_moments(learner, checkpoint / "optimizer.safetensors")
    if learner.critic is not None:
        _restore_critic(learner, checkpoint / "critic.safetensors")
    learner.step, learner.state = state["global_step"], state["loop"]


# the parts --------------------------------------------------------------------------------------------------


def _moments(learner: Learner) -> dict[str, Tensor]:
    """AdamW's state by the index of each parameter; a parameter that was never stepped has none."""
    tensors = {}
    for group, parameters in learner.trained.items():
        for i, parameter in enumerate(parameters):
            for name, value in learner.optimizer.state.get(parameter, {}).items():
                tensors[f"{group}.{i}.{name}"] = value.detach().cpu().contiguous()
    return tensors


def _restore_moments(learner: Learner, path: Path) -> None:
    stored = _read_tensors(path)
    for group, parameters in learner.trained.items():
        for i, parameter in enumerate(parameters):
            names = {name: f"{group}.{i}.{name}" for name in MOMENTS}
            if not any(full in stored for full in names.values()):
                continue
            moments = {name: _take(stored, full, path) for name, full in names.items()}
            _check_shape(moments["step"], (), names["step"], path)  # AdamW keeps the count on the CPU
            for name in ("exp_avg", "exp_avg_sq"):
                _check_shape(moments[name], parameter.shape, names[name], path)
                moments[name] = moments[name].to(parameter.device)
            learner.optimizer.state[parameter] = moments
    _check_all_used(stored, path)


def _critic_weights(learner: Learner) -> dict[str, Tensor]:
    return {n: p.detach().cpu().contiguous() for n, p in learner.critic.named_parameters() if p.requires_grad}


def _restore_critic(learner: Learner, path: Path) -> None:
    stored = _read_tensors(path)
    with torch.no_grad():
        for name, parameter in learner.critic.named_parameters():
            if parameter.requires_grad:
                weight = _take(stored, name, path)
                _check_shape(weight, parameter.shape, name, path)
                parameter.copy_(weight)
    _check_all_used(stored, path)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    with open_tensors(path):
        return load_file(path)


def _take(stored: dict[str, Tensor], name: str, path: Path) -> Tensor:
    if name not in stored:
        raise ValueError(f"{path}: tensor {name} is missing: a checkpoint of another run?")
    return stored.pop(name)


def _check_shape(tensor: Tensor, shape: tuple[int, ...], name: str, path: Path) -> None:
    if tensor.shape != shape:
        raise ValueError(f"{path}: tensor {name} has shape {tuple(tensor.shape)}, not {tuple(shape)}")


def _check_all_used(stored: dict[str, Tensor], path: Path) -> None:
    if stored:
        raise ValueError(f"{path}: tensor {sorted(stored)[0]} fits nothing here: a checkpoint of another run?")


# files ------------------------------------------------------------------------------------------------------


def _match(path: Path):
    return re.fullmatch(r"checkpoint-(\d+)", path.name)


def _delete(checkpoint: Path) -> None:
    """Renames first: after a kill, half a checkpoint must not remain under its name."""
    if checkpoint.exists():
        doomed = checkpoint.with_name(f"{checkpoint.name}.old")
        os.rename(checkpoint, doomed)
        shutil.rmtree(doomed)


def _flush(path: Path) -> None:
    """Flushes to the disk: after a power cut, a renamed file without content could remain otherwise."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
