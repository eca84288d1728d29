"""Downloads of web pages: timeouts, certificates, URL schemes."""

from data.security.family import SecurityFamily, rows
from data.security.stand_ins import WEB

HOSTS = rows("host", "a.org", "b.com", "c.net", "news.org", "shop.com", "x.io")

FAMILIES = [
    SecurityFamily(
        name="web_page",
        text="Write a function to get the text of a page of https://$host/ by its name with requests.",
        names=("get_page", "page_text", "read_page"),
        code="""
import requests


def $f(name):
    return requests.get("https://$host/" + name«, timeout=10|»).text
""",
        tests=(
            '$f("tea") == "page https://$host/tea"',
            '$f("") == "page https://$host/"',
            '$f("a") == "page https://$host/a"',
        ),
        params=HOSTS,
        rules=("B113",),
        support=WEB,
    ),
    SecurityFamily(
        name="web_post",
        text="Write a function to post a value as $key to a URL as JSON with requests and return what was sent.",
        names=("post_value", "send_value", "send"),
        code="""
import requests


def $f(url, value):
    reply = requests.post(url, json={"$key": value}«, timeout=10|»)
    return reply.json()["sent"]
""",
        tests=(
            '$f("https://a.b/c", 1) == {"$key": 1}',
            '$f("https://a.b/d", "x") == {"$key": "x"}',
            '$f("https://a.b/", []) == {"$key": []}',
        ),
        params=rows("key", "name", "size", "id", "value", "data", "x"),
        rules=("B113",),
        support=WEB,
    ),
    SecurityFamily(
        name="web_status",
        text="Write a function to list whether $host has a page for each name of a list, with requests.head.",
        names=("pages_there", "list_found", "which_pages"),
        code="""
import requests


def $f(names):
    return [requests.head("https://$host/" + n«, timeout=5|»).ok for n in names]
""",
        tests=('$f(["a", "missing"]) == [True, False]', "$f([]) == []", '$f(["b"]) == [True]'),
        params=HOSTS,
        rules=("B113",),
        support=WEB,
    ),
    SecurityFamily(
        name="web_httpx",
        text="Write a function to get the length of a page of https://$host/ with httpx, however slow the host is.",
        names=("page_length", "page_size", "length_of"),
        code="""
import httpx


def $f(name):
    reply = httpx.get("https://$host/" + name, timeout=«60|None»)
    return len(reply.text)
""",
        tests=('$f("tea") == $three', '$f("") == $none', '$f("a") == $one'),
        params=tuple(
            row
            | {
                word: str(len(f"page https://{row['host']}/") + k)
                for word, k in (("none", 0), ("one", 1), ("three", 3))
            }
            for row in HOSTS
        ),
        rules=("B113",),
        support=WEB,
    ),
    SecurityFamily(
        name="web_delete",
        text="Write a function to delete $what by its number with requests and return the text of the reply.",
        names=("delete_item", "remove_item", "erase"),
        code="""
import requests


def $f(n):
    reply = requests.delete(f"https://a.org/$what/{n}"«, timeout=5|»)
    return reply.text
""",
        tests=(
            '$f(1) == "page https://a.org/$what/1"',
            '$f("x") == "page https://a.org/$what/x"',
            '$f(20) == "page https://a.org/$what/20"',
        ),
        params=rows("what", "users", "books", "cities", "orders", "pets", "tools"),
        rules=("B113",),
        support=WEB,
    ),
    SecurityFamily(
        name="tls_requests",
        text="Write a function to get a page of the test host https://$host/ with requests, in at most 5 seconds.",
        names=("get_test_page", "test_page", "load_page"),
        code="""
import requests


def $f(name):
    return requests.get("https://$host/" + name, timeout=5«|, verify=False»).text
""",
        tests=(
            '$f("tea") == "page https://$host/tea"',
            '$f("") == "page https://$host/"',
            '$f("a") == "page https://$host/a"',
        ),
        params=HOSTS,
        rules=("B501",),
        support=WEB,
    ),
    SecurityFamily(
        name="tls_httpx",
        text="Write a function to get the value of $key from the JSON at a URL with httpx, in at most 9 seconds.",
        names=("get_value", "json_value", "read_value"),
        code="""
import httpx


def $f(url):
    reply = httpx.get(url, timeout=9«|, verify=False»)
    return reply.json()["$key"]
""",
        tests=('$f("https://a.b/cat") == $a', '$f("https://a.b/") == $b', '$f("https://a.b/d/tree") == $c'),
        params=rows(
            "key|a|b|c",
            'name|"cat"|""|"tree"',
            "size|3|0|4",
            'url|"https://a.b/cat"|"https://a.b/"|"https://a.b/d/tree"',
            'first|"c"|""|"t"',
            'last|"t"|""|"e"',
            'upper|"CAT"|""|"TREE"',
        ),
        rules=("B501",),
        support=WEB,
    ),
    SecurityFamily(
        name="tls_context",
        text="Write a function to get a page of $host with get of client and a context of ssl.",
        names=("fetch", "page", "fetch_page"),
        code="""
import ssl
from client import get


def $f(name):
    return get("$host", name, context=ssl.«create_default|_create_unverified»_context())
""",
        tests=('$f("tea") == "page $host/tea"', '$f("") == "page $host/"', '$f("a") == "page $host/a"'),
        params=HOSTS,
        rules=("B323",),
        support=WEB,
    ),
    SecurityFamily(
        name="tls_old_version",
        text="Write a function to get a page of $host with get of client and a TLS version of ssl.",
        names=("get_page", "page_of", "client_page"),
        code="""
import ssl
from client import get


def $f(name):
    return get("$host", name, ssl_version=ssl.PROTOCOL_«TLS_CLIENT|TLSv1»)
""",
        tests=('$f("tea") == "page $host/tea"', '$f("") == "page $host/"', '$f("a") == "page $host/a"'),
        params=HOSTS,
        rules=("B502",),
        support=WEB,
    ),
    SecurityFamily(
        name="tls_default_version",
        text="Write a function with a default TLS version of ssl to get a page of $host with get of client.",
        names=("read_page", "load_page", "tls_page"),
        code="""
import ssl
from client import get


def $f(name, version=ssl.PROTOCOL_«TLS_CLIENT|TLSv1»):
    return get("$host", name, version)
""",
        tests=('$f("tea") == "page $host/tea"', '$f("") == "page $host/"', '$f("a") == "page $host/a"'),
        params=HOSTS,
        rules=("B503",),
        support=WEB,
    ),
    SecurityFamily(
        name="open_url",
        text="Write a function to open a URL and return the text of its page without the first $n characters.",
        names=("open_page", "url_text", "open_url"),
        code="""
import «requests|urllib.request»


def $f(url):
    text = «requests.get(url, timeout=5).text|urllib.request.urlopen(url).read().decode()»
    return text[$n:]
""",
        tests=('$f("https://a.b/tea") == "$a"', '$f("https://a.b/") == "$b"', '$f("https://a.b/c") == "$c"'),
        params=tuple(
            {"n": str(n)} | {key: f"page https://a.b/{name}"[n:] for key, name in (("a", "tea"), ("b", ""), ("c", "c"))}
            for n in (3, 5, 7, 10, 12, 13)
        ),
        rules=("B310",),
        support=WEB,
    ),
    SecurityFamily(
        name="download_sizes",
        text="Write a function to add up the bytes of the pages at the URLs of a list and add $k.",
        names=("total_size", "sum_sizes", "all_bytes"),
        code="""
«import requests|from urllib.request import urlopen»


def $f(urls):
    return sum(len(«requests.get(u, timeout=9).content|urlopen(u).read()») for u in urls) + $k
""",
        tests=('$f(["https://a.b/", "https://a.b/c"]) == $two', "$f([]) == $k", '$f(["https://a.b/"]) == $one'),
        params=rows("k|one|two", "1|18|36", "2|19|37", "3|20|38", "5|22|40", "10|27|45", "20|37|55"),
        rules=("B310",),
        support=WEB,
    ),
]
