"""The reward of a program: components, the one-line language that combines them, schedules, and static analysis.

    answer.py (records)  <-  places.py, program.py  <-  components/, dense/  <-  expression.py  <-  language.py
                                                                             <-  schedule.py
    executed_lines.py    lines that no test executed
    linters/             Ruff and Bandit: pool.py in the trainer starts worker.py as processes

Reads outcomes of the sandbox and never runs a program. Never imports torch.
"""
