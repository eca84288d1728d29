"""Loading: files that are no use."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from rl.files.weights import load_model, save_model
from rl.model import ModelConfig, init_model

CONFIG = ModelConfig("qwen3", 97, 32, 48, 2, 4, 2, 12, tie_word_embeddings=True)


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
