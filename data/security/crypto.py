"""Hashes, ciphers and keys, broken or secure."""

import hashlib

from data.security.family import SecurityFamily, rows
from data.security.stand_ins import CIPHERS


def digests(algorithm: str) -> tuple[dict[str, str], ...]:
    """Rows: a number of characters of the digest, and these characters for three texts."""
    made = [hashlib.new(algorithm, data, usedforsecurity=False).hexdigest() for data in (b"a", b"bc", b"")]
    return tuple({"n": str(n)} | dict(zip("abc", (text[:n] for text in made), strict=True)) for n in range(4, 11))


FAMILIES = [
    SecurityFamily(
        name="hash_distinct",
        text="Write a function to count the different texts of a list by their hash, after $salt is put in front.",
        names=("count_different", "distinct_texts", "count_unique"),
        code="""
import hashlib


def $f(texts):
    return len({hashlib.«sha256|md5»(("$salt" + t).encode()).digest() for t in texts})
""",
        tests=('$f(["a", "b", "a"]) == 2', "$f([]) == 0", '$f(["x"]) == 1', '$f(["a", "b", "c"]) == 3'),
        params=rows("salt", "salt", "x", "id", "text", "key", "no"),
        rules=("B324",),
    ),
    SecurityFamily(
        name="hash_equal",
        text="Write a function to compare two texts by the hash of their first $k characters.",
        names=("same_start", "equal_hash", "match_hash"),
        code="""
import hashlib


def $f(a, b):
    first = hashlib.«sha256|sha1»(a[:$k].encode()).digest()
    return first == hashlib.«sha256|sha1»(b[:$k].encode()).digest()
""",
        tests=('$f("$same-x", "$same-y") == True', '$f("a", "b") == False', '$f("$less-x", "$less+x") == False'),
        params=rows(
            "k|same|less", "2|ab|a", "3|abc|ab", "4|abcd|abc", "5|abcde|abcd", "6|abcdef|abcde", "8|abcdefgh|abcdefg"
        ),
        rules=("B324",),
    ),
    SecurityFamily(
        name="hash_new",
        text="Write a function to number texts by hash: the index of the first equal one, counted from $k.",
        names=("number_texts", "first_equal", "number_by_hash"),
        code="""
import hashlib


def $f(texts):
    keys = [hashlib.new("«sha256|md5»", t.encode()).digest() for t in texts]
    return [keys.index(key) + $k for key in keys]
""",
        tests=('$f(["a", "b", "a"]) == [$k, $next, $k]', "$f([]) == []", '$f(["x", "x"]) == [$k, $k]'),
        params=rows("k|next", "1|2", "2|3", "5|6", "10|11", "20|21", "100|101"),
        rules=("B324",),
    ),
    SecurityFamily(
        name="hash_md5_tag",
        text="Write a function to return the first $n characters of the MD5 digest of a text, as a cache tag.",
        names=("cache_tag", "tag", "short_digest"),
        code="""
import hashlib


def $f(text):
    return hashlib.md5(text.encode()«, usedforsecurity=False|»).hexdigest()[:$n]
""",
        tests=('$f("a") == "$a"', '$f("bc") == "$b"', '$f("") == "$c"'),
        params=digests("md5"),
        rules=("B324",),
    ),
    SecurityFamily(
        name="hash_sha1_name",
        text="Write a function to return the first $n characters of the SHA-1 digest of a text, as a file name.",
        names=("file_name", "short_name", "object_name"),
        code="""
import hashlib


def $f(text):
    digest = hashlib.sha1(text.encode()«, usedforsecurity=False|»)
    return digest.hexdigest()[:$n]
""",
        tests=('$f("a") == "$a"', '$f("bc") == "$b"', '$f("") == "$c"'),
        params=digests("sha1"),
        rules=("B324",),
    ),
    SecurityFamily(
        name="hash_object",
        text="Write a function to count the different texts of a list by a Cryptodome hash and add $k.",
        names=("different_texts", "count_hashes", "hash_count"),
        code="""
from Cryptodome.Hash import «SHA256|MD5»


def $f(texts):
    return len({«SHA256|MD5».new(t.encode()).digest() for t in texts}) + $k
""",
        tests=('$f(["a", "b", "a"]) == $two', "$f([]) == $k", '$f(["x", ""]) == $two'),
        params=rows("k|two", "1|3", "2|4", "3|5", "5|7", "10|12", "20|22"),
        rules=("B303",),
        support=CIPHERS,
    ),
    SecurityFamily(
        name="hash_same",
        text="Write a function to say with a Cryptodome hash whether bytes are equal to the bytes $word.",
        names=("is_word", "same_bytes", "equal_bytes"),
        code="""
from Cryptodome.Hash import «SHA256 as|SHA as» H


def $f(data):
    return H.new(data).digest() == H.new(b"$word").digest()
""",
        tests=('$f(b"$word") == True', '$f(b"") == False', '$f(b"$words") == False'),
        params=rows("word|words", "ab|ba", "one|two", "end|en", "test|text", "new|old", "old|new"),
        rules=("B303",),
        support=CIPHERS,
    ),
    SecurityFamily(
        name="cipher_stream",
        text="Write a function to encrypt bytes with a key, count the bytes that come out and add $k.",
        names=("count", "size_of", "add_size"),
        code="""
from Cryptodome.Cipher import «ChaCha20|ARC4»


def $f(key, data):
    return len(«ChaCha20|ARC4».new(key=key).encrypt(data)) + $k
""",
        tests=('$f(b"key", b"a") == $one', '$f(b"k", b"") == $k', '$f(b"ab", b"xyz") == $three'),
        params=rows("k|one|three", "1|2|4", "2|3|5", "3|4|6", "5|6|8", "10|11|13", "20|21|23"),
        rules=("B304",),
        support=CIPHERS,
    ),
    SecurityFamily(
        name="cipher_block",
        text="Write a function to encrypt bytes with a key in the mode CTR and return $n of the bytes.",
        names=("encrypt", "encrypt_data", "to_secret"),
        code="""
from Cryptodome.Cipher import «AES|DES»


def $f(key, data):
    return «AES|DES».new(key, «AES|DES».MODE_CTR).encrypt(data)[:$n]
""",
        tests=('$f(b"!", b"@@@@@@@@@") == b"$a"', '$f(b"!", b"") == b""', '$f(b"!", b"ABCDEFGHI") == b"$b"'),
        params=rows(
            "n|a|b", "2|aa|bc", "3|aaa|bcd", "4|aaaa|bcde", "5|aaaaa|bcdef", "6|aaaaaa|bcdefg", "7|aaaaaaa|bcdefgh"
        ),
        rules=("B304",),
        support=CIPHERS,
    ),
    SecurityFamily(
        name="cipher_mode",
        text="Write a function to return the first $n bytes that encrypt of vault makes of data in a mode of modes.",
        names=("first", "start", "begin"),
        code="""
from cryptography.hazmat.primitives.ciphers import modes
from vault import encrypt


def $f(data):
    return encrypt(data, modes.«CTR|ECB»())[:$n]
""",
        tests=('$f(b"@@@@@@@@@") == b"$a"', '$f(b"") == b""', '$f(b"ABCDEFGHI") == b"$b"'),
        params=rows(
            "n|a|b", "2|aa|bc", "3|aaa|bcd", "4|aaaa|bcde", "5|aaaaa|bcdef", "6|aaaaaa|bcdefg", "7|aaaaaaa|bcdefgh"
        ),
        rules=("B305",),
        support=CIPHERS,
    ),
    SecurityFamily(
        name="cipher_package",
        text="Write a function to encrypt bytes with AES and a key in the mode CTR and count the bytes, plus $k.",
        names=("aes_size", "count_bytes", "encrypt"),
        code="""
from «Cryptodome|Crypto».Cipher import AES


def $f(key, data):
    return len(AES.new(key, AES.MODE_CTR).encrypt(data)) + $k
""",
        tests=('$f(b"key", b"a") == $one', '$f(b"k", b"") == $k', '$f(b"ab", b"xyz") == $three'),
        params=rows("k|one|three", "1|2|4", "2|3|5", "3|4|6", "5|6|8", "10|11|13", "20|21|23"),
        rules=("B413",),
        support=CIPHERS,
    ),
    SecurityFamily(
        name="random_token",
        text="Write a function to make a random token of n bytes and return its hexadecimal text after $mark.",
        names=("make_token", "new_token", "token"),
        code="""
from «secrets import token_bytes|Crypto.Random import get_random_bytes»


def $f(n):
    return "$mark" + «token|get_random»_bytes(n).hex()
""",
        tests=('$f(0) == "$mark"', "len($f(8)) == $eight", '$f(4)[:$n] == "$mark"', "$f(9) != $f(9)"),
        params=rows("mark|n|eight", "id|2|18", "t|1|17", "key|3|19", "a-|2|18", "no|2|18", "x|1|17"),
        rules=("B413",),
        support=CIPHERS,
    ),
    SecurityFamily(
        name="rsa_size",
        text="Write a function to make an RSA key with e = $e and return a name, a colon and the key's e.",
        names=("label_key", "new_key", "key_label"),
        code="""
from Cryptodome.PublicKey import RSA


def $f(name):
    key = RSA.generate(«2048|1024», e=$e)
    return f"{name}:{key.e}"
""",
        tests=('$f("a") == "a:$e"', '$f("") == ":$e"', '$f("bob") == "bob:$e"'),
        params=rows("e", "3", "5", "17", "257", "65537", "41"),
        rules=("B505",),
        support=CIPHERS,
    ),
    SecurityFamily(
        name="dsa_several",
        text="Write a function to make a DSA key for each name of a list and put $mark after each name.",
        names=("name_keys", "mark_names", "keys_for"),
        code="""
from Cryptodome.PublicKey import DSA


def $f(names):
    keys = {n: DSA.generate(«2048|1024») for n in names}
    return [n + "$mark" for n in keys]
""",
        tests=('$f(["a"]) == ["a$mark"]', "$f([]) == []", '$f(["b", "c"]) == ["b$mark", "c$mark"]'),
        params=rows("mark", ".key", "!", "-d", ".pem", "*", "_p"),
        rules=("B505",),
        support=CIPHERS,
    ),
    SecurityFamily(
        name="rsa_several",
        text="Write a function to make n RSA keys and return their number times $k.",
        names=("make_keys", "count_keys", "several_keys"),
        code="""
from Cryptodome.PublicKey import RSA


def $f(n):
    keys = [RSA.generate(«2048|1024») for i in range(n)]
    return len(keys) * $k
""",
        tests=("$f(1) == $k", "$f(0) == 0", "$f(2) == $twice"),
        params=rows("k|twice", "3|6", "5|10", "2|4", "4|8", "10|20", "7|14"),
        rules=("B505",),
        support=CIPHERS,
    ),
]
