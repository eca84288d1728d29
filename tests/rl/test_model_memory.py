"""Loading: what is asked for before anything is read, and files that are no use."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from rl import available, model
from rl.files.weights import load_model, save_model
from rl.model import ModelConfig, init_model

CONFIG = ModelConfig("qwen3", 97, 32, 48, 2, 4, 2, 12, tie_word_embeddings=True)
PARAMETERS = 97 * 32 + 32 + 2 * (32 * 12 * (4 + 2 + 2 + 4) + 2 * 12 + 3 * 32 * 48 + 2 * 32)


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_model_larger_than_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    """Guards a process that the kernel kills without a word, half an hour after the start."""
    save_model(init_model(CONFIG, seed=0), tmp_path)
    for dtype, size in ((torch.float32, 4), (torch.bfloat16, 2)):
        monkeypatch.setattr(model, "available_memory", lambda device, room=PARAMETERS * size: room)
        load_model(tmp_path, dtype=dtype)
        monkeypatch.setattr(model, "available_memory", lambda device, room=PARAMETERS * size: room - 1)
        with monkeypatch.context() as patch:
            patch.setattr(model, "_find_tensors", None)  # not called: opening a file maps it into memory
            with pytest.raises(ValueError, match=f"^{tmp_path}: 0 M parameters take 0.00 GB"):
                load_model(tmp_path, dtype=dtype)
    monkeypatch.setattr(model, "available_memory", lambda device: 12_345_678_901)
    with pytest.raises(ValueError, match=r"8194 M parameters take 32.77 GB in float32, cpu has 12.35 GB left"):
        model._check_room(tmp_path, 8_193_500_000, torch.device("cpu"), torch.float32)


def test_on_the_cpu_the_least_of_the_limits_counts(tmp_path):
    """Guards a container's limit that is passed over: the machine around it may have ten times as much."""
    gb = 10**9
    write(tmp_path, {"proc/meminfo": "MemTotal: 9 kB\nMemFree:  1 kB\nMemAvailable:    7812500 kB\nCached: 3 kB\n"})
    assert available._kernel_memory(tmp_path) == 8 * gb

    two = {"memory.max": f"{6 * gb}\n", "memory.current": f"{5 * gb}\n", "memory.stat": f"anon 1\ninactive_file {gb}\n"}
    write(tmp_path, {"proc/self/cgroup": "0::/outer/inner\n", "sys/fs/cgroup/cgroup.procs": ""})
    write(tmp_path / "sys/fs/cgroup/outer", two)
    write(tmp_path / "sys/fs/cgroup/outer/inner", two | {"memory.max": "max\n"})
    assert list(available._group_memory(tmp_path)) == [2 * gb]

    one = {"limit_in_bytes": f"{4 * gb}", "usage_in_bytes": f"{3 * gb}", "stat": f"cache 9\ntotal_inactive_file {gb}\n"}
    write(tmp_path, {"proc/self/cgroup": "5:cpu,cpuacct:/\n4:memory:/job\n1:name=systemd:/\n0::/\n"})
    write(tmp_path / "sys/fs/cgroup/memory/job", {f"memory.{name}": text for name, text in one.items()})
    assert list(available._group_memory(tmp_path)) == [2 * gb]


def test_what_this_machine_has_left_is_a_number_of_bytes():
    """Guards kilobytes taken for bytes: then every model would be too large."""
    left = available.available_memory(torch.device("cpu"))
    assert 50e6 < left < 1e14


def test_pickles_are_refused_with_the_way_out(tmp_path):
    """Guards code of strangers that runs as the weights are read, and a reader who is left with "no weights"."""
    save_model(init_model(CONFIG, seed=0), tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pickles \(pytorch_model.bin\).*save_pretrained") as error:
        load_model(tmp_path)
    assert "\n" not in str(error.value)


def test_a_file_that_is_cut_short_or_no_weights_is_refused(tmp_path):
    """Guards tracebacks, and integers of a quantised model that are taken for weights."""
    save_model(init_model(CONFIG, seed=0), tmp_path)
    path, name = tmp_path / "model.safetensors", "model.layers.1.mlp.up_proj.weight"
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 100, 0):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="model.safetensors: not a safetensors file, or a damaged one") as error:
            load_model(tmp_path)
        assert "\n" not in str(error.value)
    path.write_bytes(whole)
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    save_file(tensors | {name: tensors[name].to(torch.int8)}, path)
    with pytest.raises(ValueError, match="up_proj.weight is torch.int8: weights are read in bf16, fp16 or fp32"):
        load_model(tmp_path)
