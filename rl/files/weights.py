from rl.model import load_model, open_tensors, save_model  # noqa
