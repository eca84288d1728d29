from rl.lora import load_adapter, save_adapter  # noqa
