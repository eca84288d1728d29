"""Problems and prompts.

problems.py   the problem schema, and helpers to read files
prompts.py    from a problem to a prompt; programs.py: from an answer to its program
sets/         one file per published set; registry.py finds and loads a set by name
embedded/     our own short functions: generator, task families, the base model's pretraining text
security/     our own problems whose obvious solution is insecure
tiny/         the checkpoint of the embedded base model
"""
