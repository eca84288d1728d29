"""What a program is worth: components, the one-line language that puts them together, schedules, and static analysis.

    answer.py (records)  <-  places.py, findings.py  <-  a file for each component  <-  expression.py  <-  language.py
    analysis.py  --starts-->  worker.py (Ruff and Bandit, in processes of their own)

Sees outcomes of the sandbox, and never runs a program. Never imports torch.
"""
