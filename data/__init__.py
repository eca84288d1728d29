"""What is asked: the problem schema, the embedded problems with their generator, prompts, the tiny base checkpoint."""
