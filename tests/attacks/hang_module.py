# Tries: Loop in the module body.
# Family: hang
# Mode: tests
# Earns: PARSES 0

while True:
    pass
