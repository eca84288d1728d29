# Tries: Return decimals and dates at the ends of their ranges, where arithmetic explodes.
# Family: judge
# Mode: tests
# Earns: OUTPUT 0

import datetime
import itertools
from decimal import Decimal

turns = itertools.cycle([
    Decimal("1E+999999999999999999"), Decimal("-1E-999999999999999999"), datetime.datetime.max, datetime.timedelta.max,
    datetime.datetime.max.replace(tzinfo=datetime.timezone.utc), datetime.time(1, tzinfo=datetime.timezone.utc),
])


def f(x):
    return next(turns)
