"""Checkpoints from which a run goes on as if it had never stopped: JSON and safetensors, no pickles.

`checkpoint-N/` in the run's directory holds the state after N steps, named as Hugging Face's Trainer names it:

    adapter_config.json, adapter_model.safetensors   the policy's adapter: a PEFT directory like any other
    optimizer.safetensors                            AdamW's moments and counts
    critic.safetensors                               the critic's trained weights, if there is one
    random.safetensors                               torch's generator states, of the CPU and of each CUDA device
    trainer_state.json                               steps, the loop's numbers, Python's and numpy's generators,
                                                     and whatever else the caller wants to find again

A checkpoint is written under another name, flushed to disk and then renamed, so one that has its name is whole,
wherever the process was killed.
"""

import json
import os
import random
import re
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rl.learner import Learner
from rl.lora import save_adapter
from rl.model import open_tensors, read_json

STATE_FILE = "trainer_state.json"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def save_checkpoint(run: Path, learner: Learner, base_model: str, extra: dict, keep: int) -> Path:
    """Writes `run/checkpoint-N`, N being the steps done, then deletes all but the newest `keep`. `extra` is JSON."""
    final = run / f"checkpoint-{learner.step}"
    temporary = run / f"{final.name}.tmp"
    for left in (*run.glob("checkpoint-*.tmp"), *run.glob("checkpoint-*.old")):
        shutil.rmtree(left)  # by a process that was killed while writing or deleting
    temporary.mkdir(parents=True)
    save_adapter(learner.model, temporary, base_model)
    save_file(_moments(learner), temporary / "optimizer.safetensors")
    if learner.critic is not None:
        save_file(_critic_weights(learner), temporary / "critic.safetensors")
    save_file(_torch_generators(), temporary / "random.safetensors")
    state = {"global_step": learner.step, "loop": learner.state, "random": _plain_generators(), "extra": extra}
    (temporary / STATE_FILE).write_text(json.dumps(state) + "\n", encoding="utf-8")
    for path in (*temporary.iterdir(), temporary):
        _flush(path)
    _delete(final)  # in the way only where somebody has put back an older checkpoint by hand
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
    """What `trainer_state.json` says; ValueError, one line, if it cannot be read or is not ours."""
    path = checkpoint / STATE_FILE
    state = read_json(path)
    for name, kind in (("global_step", int), ("loop", dict), ("random", dict), ("extra", dict)):
        if not isinstance(state.get(name), kind):
            raise ValueError(
                f"{path}: {name}: missing, or no {kind.__name__}; delete the directory to use an older one"
            )
    return state


def restore_checkpoint(checkpoint: Path, learner: Learner) -> None:
    """Puts the learner, and every random generator, where they were. The adapter is the caller's to load, with
    `load_adapter`, before the learner is made. ValueError, one line, for what does not fit."""
    state = read_state(checkpoint)
    _restore_moments(learner, checkpoint / "optimizer.safetensors")
    if learner.critic is not None:
        _restore_critic(learner, checkpoint / "critic.safetensors")
    _restore_torch_generators(checkpoint / "random.safetensors")
    _restore_plain_generators(state["random"], checkpoint / STATE_FILE)
    learner.step, learner.state = state["global_step"], state["loop"]


# the parts --------------------------------------------------------------------------------------------------


def _moments(learner: Learner) -> dict[str, Tensor]:
    """AdamW's state, by the place of each parameter; one that was never stepped has none."""
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
            _check_shape(moments["step"], (), names["step"], path)  # a count, which AdamW keeps on the CPU
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


def _torch_generators() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def _restore_torch_generators(path: Path) -> None:
    stored, now = _read_tensors(path), _torch_generators()
    for name in now:
        state = _take(stored, name, path)
        _check_shape(state, now[name].shape, name, path)
        if name == "cpu":
            torch.set_rng_state(state)
        else:
            torch.cuda.set_rng_state(state, name.replace("cuda", "cuda:"))
    _check_all_used(stored, path)


def _plain_generators() -> dict:
    kind, keys, *rest = np.random.get_state()
    return {"python": random.getstate(), "numpy": [kind, keys.tolist(), *rest]}


def _restore_plain_generators(stored: dict, path: Path) -> None:
    try:
        version, numbers, gauss = stored["python"]
        kind, keys, *rest = stored["numpy"]
        random.setstate((version, tuple(numbers), gauss))
        np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path}: random: no state of Python's and numpy's generators: {error}") from error


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
    """Renamed first: a process killed while deleting must not leave half a checkpoint under its name."""
    if checkpoint.exists():
        doomed = checkpoint.with_name(f"{checkpoint.name}.old")
        os.rename(checkpoint, doomed)
        shutil.rmtree(doomed)


def _flush(path: Path) -> None:
    """To the disk itself: a rename may otherwise outlive, at a power cut, what it points to."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
