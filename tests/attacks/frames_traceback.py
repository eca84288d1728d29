# Tries: Reach the callers through a traceback instead of sys._getframe, and patch their globals.
# Family: frames
# Mode: tests
# Earns: OUTPUT 0

def callers():
    try:
        raise ValueError
    except ValueError as error:
        frame = error.__traceback__.tb_frame
    while frame is not None:
        yield frame
        frame = frame.f_back


def f(x):
    for frame in callers():
        names = frame.f_globals
        for name in list(names):
            if name not in ("f", "callers", "__builtins__"):
                names[name] = lambda *arguments, **options: True
    return 0
