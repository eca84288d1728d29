"""Remote: the judge's stand-in for an object in the child.

Covered: the program never decides `==`: Remotes are equal only if they are the same object, and `x in tree` compares
the tree's items here.
Not covered: `len(stack)`, `node.value`, `str(node)` are answers of the program, as any returned value is.
"""


class Remote:
    """A function, class, instance or iterator of the program. Each use asks the child, by `link.ask`. It has no order.

    Its own fields have mangled names; all others, such as `_name`, are the program's.
    """

    __slots__ = ("__link", "__name", "__number")

    def __init__(self, link, number: int, name: str) -> None:
        object.__setattr__(self, "_Remote__link", link)
        object.__setattr__(self, "_Remote__number", number)
        object.__setattr__(self, "_Remote__name", name)

    def __call__(self, /, *positional: object, **named: object) -> object:
        return self.__link.note(self.__link.ask("call", self.__number, list(positional), named))

    def __getattr__(self, name: str) -> object:
        return self.__link.ask("get", self.__number, name)

    def __setattr__(self, name: str, value: object) -> None:
        self.__link.ask("set", self.__number, name, value)

    def __len__(self) -> int:
        return self.__link.ask("len", self.__number)

    def __bool__(self) -> bool:
        return True  # otherwise Python would ask for the length

    def __getitem__(self, key: object) -> object:
        return self.__link.ask("item", self.__number, key)

    def __setitem__(self, key: object, value: object) -> None:
        self.__link.ask("put", self.__number, key, value)

    def __iter__(self) -> "Remote":
        return self.__link.ask("iter", self.__number)

    def __next__(self) -> object:
        return self.__link.ask("next", self.__number)

    def __str__(self) -> str:
        return self.__link.ask("str", self.__number)

    def __repr__(self) -> str:
        return f"<{self.__name or 'object'}>"

    def __eq__(self, other: object) -> bool:
        return type(other) is Remote and (self.__link, self.__number) == (other.__link, other.__number)

    def __hash__(self) -> int:
        return hash(self.__number)


def plain_remote(value: object) -> dict:
    """The JSON form of a Remote: its handle. Raises TypeError for anything else."""
    if type(value) is not Remote:
        raise TypeError(
            f"a test cannot pass a {type(value).__name__} to the program: only plain data and builtins travel"
        )
    return {"handle": [object.__getattribute__(value, "_Remote__number"), ""]}
