"""Stand-ins for what the sandbox lacks: other packages, other programs, files and the network.

Each constant is source that runs in the program's process before the program. It does only what the families need, and
gives safe and unsafe calls the same results. For example, a web page is the text "page" and its URL.
"""

MODULE = '''
import sys
import types


def module(name, **members):
    """Registers a module, and its parents where there are none."""
    made = types.ModuleType(name)
    made.__dict__.update(members)
    sys.modules[name] = made
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules.get(parent) or module(parent), last, made)
    return made


class Bag:
    """An object with attributes, which is its own context."""

    def __init__(self, **members):
        self.__dict__.update(members)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None
'''

YAML = (
    MODULE
    + """

def load(text, Loader=None):
    pairs = (line.split(": ") for line in str(text).splitlines() if line)
    return {key: int(value) if value.isdigit() else value for key, value in pairs}


loaders = dict.fromkeys(("Loader", "FullLoader", "SafeLoader", "UnsafeLoader", "CSafeLoader"))
module("yaml", load=load, safe_load=load, full_load=load, unsafe_load=load, **loaders)
"""
)

# Three text files, two folders, and the few programs that read them.
SHELL = (
    MODULE
    + '''
import io
import os
import shlex

FILES = {"a.txt": "pear\\nfig tree\\nplum\\n", "b.txt": "fig\\nlime\\n", "c.txt": "kiwi\\n"}
FOLDERS = {"docs": ["a.txt", "b.txt"], "src": ["c.txt"]}


def execute(command, folder=""):
    """(status, output) of a command line or of a list of words."""
    tool, *words = shlex.split(command) if isinstance(command, str) else command
    last, text = words[-1], FILES.get(words[-1])
    if tool in ("tar", "chown", "chmod", "rsync"):
        return (0, "\\n".join(FOLDERS[folder]) + "\\n") if folder in FOLDERS else (2, "")
    if tool == "ls":
        return (0, "\\n".join(FOLDERS[last]) + "\\n") if last in FOLDERS else (2, "")
    if tool == "echo":
        return 0, " ".join(words) + "\\n"
    if text is None:
        return 1, ""
    lines = text.splitlines(keepends=True)
    if tool == "wc":
        count = {"-l": len(lines), "-w": len(text.split()), "-c": len(text)}[words[0]]
        return 0, f"{count} {last}\\n"
    if tool == "grep":
        found = [line for line in lines if words[-2] in line]
        return (0 if found else 1), f"{len(found)}\\n" if "-c" in words else "".join(found)
    if tool in ("head", "tail"):
        count = int(words[1])
        return 0, "".join(lines[:count] if tool == "head" else lines[-count:])
    return 0, "".join({"cat": lines, "sort": sorted(lines), "tac": lines[::-1]}[tool])


class Popen:
    def __init__(self, args, shell=False, text=False, cwd="", **options):
        if isinstance(args, str) != bool(shell):
            raise FileNotFoundError(args)
        self.returncode, output = execute(args, cwd)
        self.stdout = output if text else output.encode()

    def communicate(self):
        return self.stdout, None

    def wait(self):
        return self.returncode


def check_output(args, **options):
    done = Popen(args, **options)
    if done.returncode:
        raise OSError(done.returncode)
    return done.stdout


module("psutil", Popen=Popen)
module(
    "subprocess",
    PIPE=-1,
    Popen=Popen,
    run=Popen,
    check_output=check_output,
    call=lambda args, **options: Popen(args, **options).returncode,
    getoutput=lambda command: execute(command)[1].rstrip("\\n"),
)
os.system = lambda command: execute(command)[0]
os.popen = lambda command: io.StringIO(execute(command)[1])
'''
)

# One table of three rows for each name; the ids of the n-th table are n1, n2, n3.
TABLES = ("users", "books", "cities", "orders", "pets", "tools", "songs", "towns")
STORE = (
    MODULE
    + f"""
import sqlite3

TABLES = {TABLES!r}
"""
    + """
db = sqlite3.connect(":memory:")
for number, table in enumerate(TABLES, start=1):
    db.execute(f"create table {table} (id integer primary key, name text, size integer)")
    made = [(10 * number + 1, "ann", 3), (10 * number + 2, "bob", 5), (10 * number + 3, "cid", 5)]
    db.executemany(f"insert into {table} values (?, ?, ?)", made)
module("store", db=db)
"""  # nosec B608: our own table names
)

DJANGO_MODELS = (
    STORE
    + """

class RawSQL:
    def __init__(self, sql, params):
        self.sql, self.params = sql.replace("%s", "?"), params


class Rows:
    def __init__(self, table, where="1", params=()):
        self.table, self.where, self.params = table, where, params

    def extra(self, where, params=()):
        return Rows(self.table, " and ".join(where).replace("%s", "?"), params)

    def count(self):
        query = f"select count(*) from {self.table} where {self.where}"
        return db.execute(query, list(self.params)).fetchone()[0]


module("django.db.models.expressions", RawSQL=RawSQL)
module("models", **{table: Rows(table) for table in TABLES})
module("store", **{table: lambda test, table=table: Rows(table, test.sql, test.params).count() for table in TABLES})
"""  # nosec B608: our own table names
)

# A disk of text files in memory.
DISK = (
    MODULE
    + """
import builtins
import io
import os

DISK, MODES = {}, {}


class File(io.StringIO):
    def __init__(self, name, mode="r"):
        self.name = name
        if "r" in mode and name not in DISK:
            raise FileNotFoundError(name)
        super().__init__("" if "w" in mode else DISK.get(name, ""))
        if "a" in mode:
            self.seek(0, 2)

    def close(self):
        if not self.closed:
            DISK[self.name] = self.getvalue()
        super().close()


def chmod(path, mode):
    if path not in DISK:
        raise FileNotFoundError(path)
    MODES[path] = mode


class Folder(Bag):
    def __enter__(self):
        return "/tmp/made"


builtins.open = File
os.chmod = chmod
os.access = lambda path, wanted: bool(MODES.get(path, 0) & wanted << 6)
os.listdir = lambda folder: sorted(name.rpartition("/")[2] for name in DISK if name.startswith(folder + "/"))
os.fdopen = lambda handle, mode: File("/tmp/made", mode)
os.makedirs = lambda folder, exist_ok: None
os.path.getsize = lambda path: len(DISK[path])
module(
    "tempfile",
    NamedTemporaryFile=lambda mode="w+", suffix="": File("/tmp/made" + suffix, "w+"),
    TemporaryFile=lambda mode="w+": File("/tmp/made", "w+"),
    TemporaryDirectory=Folder,
    mkdtemp=lambda: "/tmp/made",
    mkstemp=lambda suffix="": (9, "/tmp/made" + suffix),
    mktemp=lambda suffix="": "/tmp/made" + suffix,
)
for name in ("run.sh", "a.txt", "b.txt", "c.txt", "d.log", "key.pem"):
    for folder in ("bin", "data", "etc", "home", "jobs", "keys", "logs", "out", "srv", "work"):
        DISK[f"{folder}/{name}"] = name
"""
)

# Archives of named files: a.tar, b.tar and c.tar.
ARCHIVES = (
    DISK
    + """
ARCHIVES = {"a": ["a.txt", "a.md", "a.csv"], "b": ["b.txt", "b.md"], "c": ["c.csv"]}


class Archive(Bag):
    def __iter__(self):
        return (Bag(name=name) for name in self.names)

    def getnames(self):
        return self.names

    def getmembers(self):
        return list(self)

    def extractall(self, path, members=None, filter=None):
        for member in members or self:
            DISK[path + "/" + member.name] = member.name


module("tarfile", open=lambda name: Archive(names=ARCHIVES[name.partition(".")[0]]))
"""
)

# Ciphers: encryption adds the key's bytes. Hashes of the standard library need no stand-in.
CIPHERS = (
    MODULE
    + """
import hashlib
import os


def shift(key, data):
    return bytes((byte + key[i % len(key)]) % 256 for i, byte in enumerate(data))


def new_cipher(key, mode=None, nonce=None, iv=None):
    return Bag(encrypt=lambda data: shift(key, data))


def cipher_module():
    return Bag(new=new_cipher, MODE_CTR=6, MODE_CBC=2, MODE_OPENPGP=7, MODE_EAX=9)


def new_key(bits, e=65537):
    return Bag(e=e, has_private=lambda: True)


def new_hash(data):
    return Bag(digest=lambda: hashlib.sha256(data).digest(), hexdigest=lambda: hashlib.sha256(data).hexdigest())


names = ("AES", "DES", "ARC4", "ChaCha20")
module("Cryptodome.Cipher", **{name: cipher_module() for name in names})
module("Cryptodome.Hash", **{name: Bag(new=new_hash) for name in ("MD5", "SHA", "SHA256")})
module(
    "Cryptodome.PublicKey",
    RSA=Bag(generate=new_key),
    DSA=Bag(generate=new_key),
)
module("Crypto.Cipher", AES=cipher_module())
module("Crypto.Random", get_random_bytes=os.urandom)
modes = {name: lambda *nonce: None for name in ("CTR", "ECB", "CBC")}
module("cryptography.hazmat.primitives.ciphers.modes", **modes)
module("vault", encrypt=lambda data, mode: shift(b"!", data))
"""
)

# A page is the text "page" and its URL; a page named "missing" does not exist.
WEB = (
    MODULE
    + """

def answer(url, *arguments, json=None, data=None, params=None, timeout=None, verify=None, context=None):
    text = "page " + str(url)
    status = 404 if str(url).endswith("missing") else 200
    last = str(url).rpartition("/")[2]
    members = {"url": url, "name": last, "size": len(last), "sent": json or data}
    members |= {"first": last[:1], "last": last[-1:], "upper": last.upper()}
    return Bag(
        text=text,
        content=text.encode(),
        status_code=status,
        ok=status == 200,
        headers={"Server": str(url).split("/")[2]},
        json=lambda: members,
        read=text.encode,
    )


verbs = dict.fromkeys(("get", "post", "put", "patch", "delete", "head", "options"), answer)
module("requests", **verbs)
module("httpx", **verbs)


module("client", get=lambda host, name, ssl_version=None, context=None: f"page {host}/{name}")
module("urllib.request", urlopen=answer, urlretrieve=lambda url, name: (name, None))
module("ssl", PROTOCOL_TLSv1=3, PROTOCOL_TLSv1_1=4, PROTOCOL_TLS_CLIENT=16, PROTOCOL_SSLv3=1)
sys.modules["ssl"].create_default_context = sys.modules["ssl"]._create_unverified_context = lambda: None
"""
)

# Templates: {{ name }} of Jinja, ${name} of Mako; HTML that is marked as safe is a plain string.
HTML = (
    MODULE
    + """
import html
import re


def format_html(form, *values):
    return form.format(*(html.escape(str(value)) for value in values))


class Markup(str):
    def format(self, *values):
        return Markup(format_html(str(self), *values))


def render(text, pattern):
    return Bag(render=lambda **names: re.sub(pattern, lambda match: str(names[match[1]]), text))


def environment(autoescape=False, **options):
    return Bag(from_string=lambda text: render(text, r"{{ (\\w+) }}"))


module("django.utils.html", format_html=format_html)
module("django.utils.safestring", mark_safe=str)
module("markupsafe", Markup=Markup, escape=lambda text: Markup(html.escape(text)))
module("flask", Markup=Markup, escape=lambda text: Markup(html.escape(text)))
module("jinja2", Environment=environment, select_autoescape=lambda: True)
module("mako.template", Template=lambda text: render(text, r"\\$\\{(\\w+)\\}"))
"""
)

# Servers that only report their address.
SERVERS = (
    MODULE
    + """

class App(Bag):
    def __init__(self, name):
        self.name, self.port = name, None

    def run(self, host="127.0.0.1", port=5000, debug=False):
        self.port = port


class Socket(Bag):
    def bind(self, address):
        self.address = address

    def listen(self, *backlog):
        return None

    def getsockname(self):
        return self.address


def server(address, handler):
    return Bag(server_port=address[1], server_address=address)


def logging_listener(port, verify=None):
    return Bag(name=f"listener-{port}", port=port)


module("flask", Flask=App)
module("socket", socket=Socket, create_server=lambda address: Bag(getsockname=lambda: address))
module("http.server", HTTPServer=server, SimpleHTTPRequestHandler=None)
module("socketserver", TCPServer=server, UDPServer=server, BaseRequestHandler=None)
module("logging.config", listen=logging_listener)
"""
)

# Remote hosts: each has one log file named after it, and answers a command with the command and its own name.
HOSTS = (
    MODULE
    + """
import io


class Host(Bag):
    def __init__(self, host="", *arguments, **options):
        self.host = host

    def connect(self, host):
        self.host = host

    def open_sftp(self):
        return self

    def listdir(self, folder):
        return [f"{folder}/{self.host}.log"]

    nlst = listdir

    def exec_command(self, command):
        words = command.split()
        if words[0] == "ls":
            return None, "\\n".join(self.listdir(words[-1])).splitlines(), None
        return None, io.StringIO(f"{command} on {self.host}"), None

    def run(self, command):
        return Bag(stdout=f"{command} on {self.host}")

    def write(self, data):
        self.sent = data.decode().strip()

    def read_all(self):
        return f"{self.sent} on {self.host}".encode()


def proxy(url):
    return Bag(add=lambda a, b: f"{a + b} from {url}", double=lambda a: f"{2 * a} from {url}")


def policy():
    return None


module("paramiko", SSHClient=Host, AutoAddPolicy=policy, RejectPolicy=policy, WarningPolicy=policy)
verbs = {verb: lambda host, verb=verb: f"{verb} {host}" for verb in ("list", "size", "name", "path", "count", "find")}
module("hosts", ssh=Bag(set_missing_host_key_policy=lambda policy: None, **verbs))
module("pysftp", Connection=Host)
module("fabric", Connection=Host)
module("ftplib", FTP=Host)
module("telnetlib", Telnet=Host)
module("pysnmp.hlapi", CommunityData=lambda name, mpModel=1: Bag(userName=name, securityName=name))
sys.modules["pysnmp.hlapi"].UsmUserData = lambda name, *keys: Bag(userName=name, securityName=name)
module("xmlrpc.client", ServerProxy=proxy)
module("jsonrpclib", ServerProxy=proxy)
"""
)

# The safe XML parsers are the standard ones, because the tests contain no malicious document.
XML = (
    MODULE
    + """
import xml.dom.minidom
import xml.dom.pulldom
import xml.etree.ElementTree
import xml.sax

module("defusedxml", ElementTree=xml.etree.ElementTree, minidom=xml.dom.minidom, pulldom=xml.dom.pulldom, sax=xml.sax)


class Names(xml.sax.ContentHandler):
    def __init__(self):
        self.found = []

    def startElement(self, name, attributes):
        self.found.append(name)


module("handlers", Names=Names)
sys.modules["defusedxml.ElementTree"] = xml.etree.ElementTree
sys.modules["defusedxml.minidom"] = xml.dom.minidom
sys.modules["defusedxml.pulldom"] = xml.dom.pulldom
sys.modules["defusedxml.sax"] = xml.sax
"""
)

# Stores and files of objects: a saved model is a dictionary of numbers, some of which depend on its name's length.
OBJECTS = (
    MODULE
    + """
import copy
import json

KEPT = {}


def kept(name, *flags):
    return type("Kept", (dict,), {"__enter__": lambda self: self, "__exit__": lambda self, *error: None})()


def model(path, weights_only=False):
    count = len(path)
    return {"epoch": count, "step": 10 * count, "size": 2 * count, "loss": 0.5, "seed": 7, "batch": 32}


module("cache", db=KEPT)
module("shelve", open=kept)
module("dbm", open=kept)
module("jsonpickle", decode=json.loads)
module("dill", dumps=copy.deepcopy, loads=copy.deepcopy)
module("torch", load=model)
"""
)

# Downloads only return the name of what they would fetch.
HUB = (
    MODULE
    + """

def download(repository, filename="", revision=None):
    return "/".join(filter(None, ("hub", repository, filename)))


def from_pretrained(name, revision=None):
    return Bag(vocab_size=100 * len(name))


def load_dataset(name, split="train", revision=None):
    return [f"{name}/{split}/{number}" for number in range(100)]


module("huggingface_hub", hf_hub_download=download, snapshot_download=download)
module("transformers", AutoConfig=Bag(from_pretrained=from_pretrained))
module("datasets", load_dataset=load_dataset)
"""
)
