"""The learning core: model, LoRA, sampler, log-probabilities and one file per algorithm.

Knows neither rewards nor the sandbox: it receives token ids, plain records and numbers.
"""
