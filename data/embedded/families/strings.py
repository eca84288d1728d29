"""Families about strings and lists of words."""

from data.embedded.families.family import (
    COMPARISONS,
    LETTERS,
    SEPARATORS,
    TEXT,
    WORD_LIST,
    Family,
    cross,
    grid,
    word,
    words,
)


def with_letter(rng, p):
    return (word(rng, p["c"]),)


def any_text(rng, p):
    return (word(rng, least=3, most=9),)


def long_text(rng, p):
    return (word(rng, least=p["k"] + 1, most=p["k"] + 5),)


def any_words(rng, p):
    return (words(rng),)


FAMILIES = [
    Family(
        "count_letter",
        (
            "count how often the letter '$c' occurs in a string",
            "find the number of times '$c' appears in a string",
            "return how many characters of a string are '$c'",
        ),
        ("count_letter", "count_char", "letter_count"),
        TEXT,
        grid(c=LETTERS),
        (
            "return $a.count('$c')",
            "return sum(1 for ch in $a if ch == '$c')",
            "count = 0\nfor ch in $a:\n    if ch == '$c':\n        count += 1\nreturn count",
        ),
        ("return $a.find('$c')", "return len([ch for ch in $a if ch != '$c'])", "return '$c' in $a"),
        with_letter,
    ),
    Family(
        "remove_letter",
        (
            "remove every '$c' from a string",
            "delete the letter '$c' from a string",
            "return a string without the character '$c'",
        ),
        ("remove_letter", "drop_char", "strip_letter"),
        TEXT,
        grid(c=LETTERS),
        (
            "return $a.replace('$c', '')",
            "return ''.join(ch for ch in $a if ch != '$c')",
            "result = ''\nfor ch in $a:\n    if ch != '$c':\n        result += ch\nreturn result",
        ),
        ("return $a.strip('$c')", "return $a.replace('$c', ' ')", "return $a.replace('$c', '', 1)"),
        with_letter,
    ),
    Family(
        "replace_letter",
        (
            "replace every '$c' in a string with '$d'",
            "change all letters '$c' of a string to '$d'",
            "substitute '$d' for each '$c' in a string",
        ),
        ("replace_letter", "swap_char", "change_letter"),
        TEXT,
        tuple({"c": c, "d": d} for c in "abcdeost" for d in "xzmn*"),
        ("return $a.replace('$c', '$d')", "return ''.join('$d' if ch == '$c' else ch for ch in $a)"),
        ("return $a.replace('$d', '$c')", "return $a.replace('$c', '')", "return $a.replace('$c', '$d', 1)"),
        with_letter,
    ),
    Family(
        "words_by_length",
        (
            "keep the words of a list whose length is $word $k",
            "return the strings in a list with a length of $word $k",
            "filter a list to the words with $word $k letters",
        ),
        ("filter_words", "words_of_length", "select_words"),
        WORD_LIST,
        cross(COMPARISONS, grid(k=range(3, 6))),
        (
            "return [w for w in $a if len(w) $op $k]",
            "result = []\nfor w in $a:\n    if len(w) $op $k:\n        result.append(w)\nreturn result",
            "return list(filter(lambda w: len(w) $op $k, $a))",
        ),
        ("return [w for w in $a if w $op '$k']", "return len([w for w in $a if len(w) $op $k])"),
        any_words,
    ),
    Family(
        "count_words_by_length",
        (
            "count the words of a list whose length is $word $k",
            "find how many strings in a list have $word $k letters",
            "return the number of words with a length of $word $k",
        ),
        ("count_words", "how_many_words", "words_count"),
        WORD_LIST,
        cross(COMPARISONS, grid(k=range(3, 6))),
        (
            "return sum(1 for w in $a if len(w) $op $k)",
            "return len([w for w in $a if len(w) $op $k])",
            "count = 0\nfor w in $a:\n    if len(w) $op $k:\n        count += 1\nreturn count",
        ),
        ("return [w for w in $a if len(w) $op $k]", "return sum(len(w) for w in $a if len(w) $op $k)"),
        any_words,
        unseen=True,
    ),
    Family(
        "words_starting",
        (
            "keep the words of a list that start with '$c'",
            "return the strings in a list beginning with '$c'",
            "filter a list to the words whose first letter is '$c'",
        ),
        ("words_starting", "starts_with", "begin_with"),
        WORD_LIST,
        grid(c="abcdeghjklmnopqrstuw"),
        (
            "return [w for w in $a if w.startswith('$c')]",
            "return [w for w in $a if w[0] == '$c']",
            "result = []\nfor w in $a:\n    if w.startswith('$c'):\n        result.append(w)\nreturn result",
        ),
        ("return [w for w in $a if w.endswith('$c')]", "return [w for w in $a if '$c' in w]"),
        lambda rng, p: (
            [p["c"] + w if rng.random() < 0.4 else w + p["c"] if rng.random() < 0.5 else w for w in words(rng)],
        ),
    ),
    Family(
        "words_ending",
        (
            "keep the words of a list that end with '$c'",
            "return the strings in a list ending with '$c'",
            "filter a list to the words whose last letter is '$c'",
        ),
        ("words_ending", "ends_with", "finish_with"),
        WORD_LIST,
        grid(c="abdeghklmnoprstwy"),
        (
            "return [w for w in $a if w.endswith('$c')]",
            "return [w for w in $a if w[-1] == '$c']",
            "result = []\nfor w in $a:\n    if w.endswith('$c'):\n        result.append(w)\nreturn result",
        ),
        ("return [w for w in $a if w.startswith('$c')]", "return [w for w in $a if '$c' in w]"),
        lambda rng, p: (
            [w + p["c"] if rng.random() < 0.4 else p["c"] + w if rng.random() < 0.5 else w for w in words(rng)],
        ),
        unseen=True,
    ),
    Family(
        "repeat_text",
        (
            "repeat a string $k times with '$sep' in between",
            "join $k copies of a string with '$sep'",
            "return a string written $k times, separated by '$sep'",
        ),
        ("repeat_text", "join_copies", "repeat_string"),
        TEXT,
        grid(k=range(2, 7), sep=SEPARATORS),
        ("return '$sep'.join([$a] * $k)", "return '$sep'.join($a for _ in range($k))"),
        ("return $a * $k", "return '$sep'.join($a * $k)", "return ($a + '$sep') * $k"),
        lambda rng, p: (word(rng, least=2, most=4),),
    ),
    Family(
        "backward_steps",
        (
            "read a string backwards and keep one character out of every $k, starting with the last one",
            "return the characters of a string from the end, in steps of $k",
            "take the last character of a string and then each one $k places before",
        ),
        ("backward_steps", "pick_backwards", "step_back"),
        TEXT,
        grid(k=range(2, 11)),
        ("return $a[::-$k]", "return $a[::-1][::$k]"),
        ("return $a[::$k]", "return $a[-$k:]", "return $a[:-$k]"),
        long_text,
        unseen=True,
    ),
    Family(
        "shift_letters",
        (
            "shift each lower-case letter of a string by $k places in the alphabet with wrap around",
            "encode a lower-case string by a Caesar shift of $k",
            "move every letter of a string forward by $k in the alphabet",
        ),
        ("shift_letters", "caesar", "encode_text"),
        TEXT,
        grid(k=range(1, 26)),
        (
            "return ''.join(chr((ord(ch) - 97 + $k) % 26 + 97) for ch in $a)",
            "result = ''\nfor ch in $a:\n    result += chr((ord(ch) - 97 + $k) % 26 + 97)\nreturn result",
        ),
        (
            "return ''.join(chr(ord(ch) + $k) for ch in $a)",
            "return ''.join(chr((ord(ch) - 97 - $k) % 26 + 97) for ch in $a)",
        ),
        any_text,
        tier="hard",
    ),
    Family(
        "upper_prefix",
        (
            "change the first $k characters of a string to upper case",
            "capitalize the first $k letters of a string",
            "return a string whose first $k characters are upper case",
        ),
        ("upper_prefix", "raise_start", "capitalize_first"),
        TEXT,
        grid(k=range(1, 11)),
        ("return $a[:$k].upper() + $a[$k:]", "head = $a[:$k].upper()\nreturn head + $a[$k:]"),
        ("return $a[:$k].upper()", "return $a[:$k] + $a[$k:].upper()", "return $a.upper()"),
        long_text,
    ),
    Family(
        "pad_left",
        (
            "pad a string on the left with '$sep' to a width of $k",
            "fill a string with '$sep' from the left until its length is $k",
            "right align a string in a field of $k characters filled with '$sep'",
        ),
        ("pad_left", "fill_left", "align_right"),
        TEXT,
        grid(k=range(5, 10), sep=SEPARATORS),
        ("return $a.rjust($k, '$sep')", "return '$sep' * ($k - len($a)) + $a"),
        ("return $a.ljust($k, '$sep')", "return '$sep' * $k + $a", "return $a.center($k, '$sep')"),
        any_text,
    ),
    Family(
        "join_words",
        (
            "join the words of a list with '$sep' and make them upper case",
            "return the words of a list in upper case, separated by '$sep'",
            "combine a list of words to an upper-case string with '$sep' in between",
        ),
        ("join_words", "combine_words", "join_upper"),
        WORD_LIST,
        grid(sep=(*SEPARATORS, ", ", " ", " - ", ";", "#", "=", "&", "::", "..", "--")),
        ("return '$sep'.join(w.upper() for w in $a)", "return '$sep'.join($a).upper()"),
        ("return '$sep'.join($a)", "return ''.join(w.upper() for w in $a)", "return '$sep'.join($a).title()"),
        lambda rng, p: (words(rng, least=2, most=4),),
    ),
    Family(
        "truncate",
        (
            "shorten a string to $k characters and add '$mark' if it was longer",
            "cut a string after $k characters, with '$mark' added if something was cut",
            "truncate text to $k characters, ending in '$mark' when it is too long",
        ),
        ("truncate", "shorten", "cut_text"),
        TEXT,
        grid(k=range(3, 9), mark=("...", "~", "!", "--")),
        (
            "return $a[:$k] + '$mark' if len($a) > $k else $a",
            "if len($a) > $k:\n    return $a[:$k] + '$mark'\nreturn $a",
        ),
        ("return $a[:$k]", "return $a[:$k] + '$mark'", "return $a[:$k] + '$mark' if len($a) < $k else $a"),
        lambda rng, p: (word(rng, least=p["k"] - 1, most=p["k"] + 2),),
        tier="hard",
    ),
    Family(
        "split_part",
        (
            "split a string at '$sep' and return the part with index $k",
            "return part number $k, counting from 0, of a string split at '$sep'",
            "get the field at index $k of a string separated by '$sep'",
        ),
        ("get_field", "split_part", "field_at"),
        TEXT,
        grid(k=range(0, 4), sep=SEPARATORS),
        ("return $a.split('$sep')[$k]", "parts = $a.split('$sep')\nreturn parts[$k]"),
        ("return $a[$k]", "return $a.split()[$k]", "return $a.split('$sep')[$k - 1]"),
        lambda rng, p: (p["sep"].join(words(rng, least=p["k"] + 1, most=p["k"] + 2)),),
    ),
    Family(
        "drop_last_chars",
        (
            "remove the last $k characters from a string",
            "return a string without its final $k letters",
            "cut $k characters off the end of a string",
        ),
        ("drop_end", "cut_tail", "remove_last"),
        TEXT,
        grid(k=range(1, 12)),
        ("return $a[:-$k]", "return $a[:len($a) - $k]"),
        ("return $a[$k:]", "return $a[-$k:]", "return $a[:$k]"),
        long_text,
    ),
    Family(
        "letter_positions",
        (
            "find all indexes of the letter '$c' in a string",
            "return the positions where a string has a '$c'",
            "list the indices of every '$c' in a string",
        ),
        ("letter_positions", "find_letter", "char_indexes"),
        TEXT,
        grid(c=LETTERS),
        (
            "return [i for i, ch in enumerate($a) if ch == '$c']",
            "return [i for i in range(len($a)) if $a[i] == '$c']",
            "result = []\nfor i in range(len($a)):\n    if $a[i] == '$c':\n        result.append(i)\nreturn result",
        ),
        ("return $a.find('$c')", "return [ch for i, ch in enumerate($a) if ch == '$c']"),
        with_letter,
    ),
    Family(
        "wrap_text",
        (
            "put '$pre' before and '$post' after a string",
            "wrap a string between '$pre' and '$post'",
            "surround a string with '$pre' on the left and '$post' on the right",
        ),
        ("wrap_text", "surround", "add_marks"),
        TEXT,
        tuple(
            {"pre": pre, "post": post}
            for pre in ("<", "(", "[", "**", "--", "#")
            for post in (">", ")", "]", "!!", "~")
        ),
        ("return '$pre' + $a + '$post'", "result = '$pre' + $a\nreturn result + '$post'"),
        ("return '$post' + $a + '$pre'", "return '$pre' + $a", "return $a.join('$pre$post')"),
        any_text,
    ),
    Family(
        "letters_after",
        (
            "keep the letters of a string that come after '$c' in the alphabet",
            "return the characters of a string later in the alphabet than '$c'",
            "remove from a string all letters up to and including '$c'",
        ),
        ("letters_after", "later_letters", "keep_after"),
        TEXT,
        grid(c="abcdefghiklmnoprstu"),
        (
            "return ''.join(ch for ch in $a if ch > '$c')",
            "result = ''\nfor ch in $a:\n    if ch > '$c':\n        result += ch\nreturn result",
        ),
        ("return ''.join(ch for ch in $a if ch < '$c')", "return [ch for ch in $a if ch > '$c']"),
        with_letter,
        tier="hard",
        unseen=True,
    ),
]
