import pytest
import torch

from rl.logprobs import completion_logprobs, token_log_probs
from rl.lora import add_lora, lora_parameters
from rl.model import ModelConfig, init_model, pad_right

PROMPTS = [[5, 1, 7, 7, 2, 9, 11], [3], [8, 0, 4]]
EOS = 0
ROWS = [0, 2, 0, 2, 2]  # prompt 1 is used by no row
COMPLETIONS = [[4, 9, EOS], [EOS], [1, 2, 3, 4, 5, 6], [7, EOS], [7, 7, 7]]


def float64_model():
    model = init_model(ModelConfig("qwen3", 31, 24, 40, 2, 4, 2, 10, tie_word_embeddings=False), seed=0).double()
    add_lora(model, rank=3, alpha=6, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in lora_parameters(model):
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def naive(model, temperature):
    """Each row on its own, prompt and completion in one sequence, the whole vocabulary at every position."""
    log_probs, entropies = [], []
    for n, completion in zip(ROWS, COMPLETIONS, strict=True):
        hidden = model(*pad_right([PROMPTS[n] + completion]))
        logits = model.logits(hidden)[0, len(PROMPTS[n]) - 1 : -1] / temperature
        distribution = torch.distributions.Categorical(logits=logits)
        log_probs.append(distribution.log_prob(torch.tensor(completion)))
        entropies.append(distribution.entropy().detach())
    pad = torch.nn.utils.rnn.pad_sequence
    return pad(log_probs, batch_first=True), pad(entropies, batch_first=True)


def gradients(model, loss):
    return torch.autograd.grad(loss, lora_parameters(model))


@pytest.mark.parametrize("chunk_tokens", [None, 1, 4])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_shared_prompts_and_chunks_equal_the_naive_forward(temperature, chunk_tokens):
    """Guards log-probs shifted by a position, gradients that miss the shared prompt, chunks out of order."""
    model = float64_model()
    ours, entropy = completion_logprobs(model, PROMPTS, ROWS, COMPLETIONS, temperature, chunk_tokens)
    wanted, wanted_entropy = naive(model, temperature)
    torch.testing.assert_close(ours, wanted, atol=1e-9, rtol=0)
    torch.testing.assert_close(entropy, wanted_entropy, atol=1e-9, rtol=0)
    assert not entropy.requires_grad
    weight = torch.randn(ours.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    pairs = zip(gradients(model, (ours * weight).sum()), gradients(model, (wanted * weight).sum()), strict=True)
    for got, want in pairs:
        assert want.abs().max() > 0
        torch.testing.assert_close(got, want, atol=1e-9, rtol=0)


def test_the_end_of_sequence_is_trained_though_it_equals_the_padding():
    """Guards masks made by comparing ids with the pad token: with pad == eos the model never learns to stop.

    The padding of `pad_right` is id 0, which is also this test's EOS, and row 0 is padded behind its EOS.
    """
    model = float64_model()
    log_probs, _ = completion_logprobs(model, PROMPTS, ROWS, COMPLETIONS)
    assert (log_probs[0] != 0).tolist() == [True, True, True, False, False, False]
    for row, position in ((0, 2), (1, 0), (3, 1)):
        assert max(g.abs().max() for g in gradients(model, log_probs[row, position].clone())) > 0
        log_probs, _ = completion_logprobs(model, PROMPTS, ROWS, COMPLETIONS)


def test_eos_inside_a_prompt_is_seen():
    """Guards attention masks made by comparing ids with the pad token: prompt 2 holds the id 0."""
    model = float64_model()
    with_eos, _ = completion_logprobs(model, [[8, EOS, 4]], [0], [[7]])
    without, _ = completion_logprobs(model, [[8, 4]], [0], [[7]])
    assert (with_eos - without).abs() > 1e-6


def test_chunks_keep_no_logits_for_the_backward_pass():
    """Guards a chunked loop under plain autograd, which keeps every chunk's logits and bounds nothing."""
    saved = []
    hidden = torch.randn(64, 8, requires_grad=True)
    head, tokens = torch.randn(501, 8), torch.randint(501, (64,))

    def note(tensor):
        saved.append(tuple(tensor.shape))
        return tensor

    for chunk, kept in ((64, True), (16, False)):
        saved.clear()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            token_log_probs(hidden, tokens, head, 1.0, chunk_tokens=chunk)
        assert ((chunk, 501) in saved) == kept


def test_an_empty_completion_is_refused():
    """Guards a row without tokens, whose mean over its length would be 0 / 0."""
    with pytest.raises(ValueError, match="empty"):
        completion_logprobs(float64_model(), PROMPTS, [0, 0], [[1], []])
