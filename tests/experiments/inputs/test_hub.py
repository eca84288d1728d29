import errno
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from experiments.inputs import hub as checkpoints
from experiments.inputs.hub import find_checkpoint, load_tokenizer, read_eos
from rl.files.token_bytes import token_bytes
from rl.files.weights import load_model, save_model
from rl.model import ModelConfig, init_model

ROOT = Path(__file__).parents[3]
CONFIG = ModelConfig("llama", 400, 16, 24, 1, 2, 1, 8)


# a hub -----------------------------------------------------------------------------------------------------

OLD, NEW = "a" * 40, "b" * 40  # commits
FIND = """
import json, sys
from experiments.inputs.hub import find_checkpoint
for name in sys.argv[1:]:
    try:
        directory, commit = find_checkpoint(name)
        print(json.dumps([str(directory), commit]))
    except ValueError as error:
        print(json.dumps(str(error)))
"""


class Hub(ThreadingHTTPServer):
    """The few of the hub's endpoints that a download needs. `repositories`: id -> revision -> (commit, files)."""

    def __init__(self, repositories):
        super().__init__(("127.0.0.1", 0), Endpoint)
        self.repositories, self.sent = repositories, []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        match = re.match(r"/(?:api/models/)?([\w.-]+/[\w.-]+)/(revision|tree|resolve)/([^/?]+)/?([^?]*)", self.path)
        repository, kind, revision, file = match.groups()
        refusals = {"gated/model": (403, "GatedRepo"), "refusing/model": (401, None)}
        known = repository in self.server.repositories
        if repository == "private/model" and self.headers["Authorization"] != "Bearer hf_right":
            known = False
        if repository in refusals:
            self.refuse(*refusals[repository])
        elif not known:
            self.refuse(401, "RepoNotFound")
        elif revision not in self.server.repositories[repository]:
            self.refuse(404, "RevisionNotFound")
        else:
            commit, files = self.server.repositories[repository][revision]
            self.answer(repository, kind, commit, files, file)

    do_HEAD = do_GET

    def answer(self, repository, kind, commit, files, file):
        if kind == "revision":
            siblings = [{"rfilename": name} for name in files]
            self.reply(json.dumps({"_id": "1", "id": repository, "sha": commit, "siblings": siblings}).encode())
        elif kind == "tree":
            sizes = {name: len(data) for name, data in files.items()}
            entries = [{"type": "file", "path": name, "size": size, "oid": name} for name, size in sizes.items()]
            self.reply(json.dumps(entries).encode())
        elif file not in files:
            self.refuse(404, "EntryNotFound")
        else:
            data = files[file]
            if self.command == "GET":
                self.server.sent.append(f"{repository}/{file}")
                if repository == "short/model" and file == "model.safetensors":
                    data = data[:-100]  # fewer bytes than the hub has said that there are
            self.reply(data, {"ETag": f'"{commit}-{file}"', "X-Repo-Commit": commit})

    def reply(self, data, headers=None, status=200):
        self.send_response(status)
        for name, value in {"Content-Length": len(data), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def refuse(self, status, code):
        self.reply(b"", {"X-Error-Code": code} if code else {}, status)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub with what one finds on hubs, and what has come from it: (server, directory of the model, found by name)."""
    place = tmp_path_factory.mktemp("hub")
    save_model(init_model(CONFIG, seed=0), place / "model")
    files = {path.name: path.read_bytes() for path in (place / "model").iterdir()}
    files |= {"tokenizer.json": b"{}", "tokenizer_config.json": b"{}", "chat_template.jinja": b"hello"}
    others = {"modeling_own.py": b"raise SystemExit", "pytorch_model.bin": b"pickle", "README.md": b"#"}
    config = files["config.json"]
    gpt2 = {"config.json": b'{"model_type": "gpt2"}', "model.safetensors": b"large"}
    repositories = {
        "some/model": {"v1": (OLD, files), "main": (NEW, files | others | {"chat_template.jinja": b"hi"})},
        "private/model": {"main": (NEW, files)},
        "short/model": {"main": (NEW, files)},
        "pickles/model": {"main": (NEW, {"config.json": config, "pytorch_model.bin": b"pickle"})},
        "some/gpt2": {"main": (NEW, gpt2)},
        "some/dataset": {"main": (NEW, {"README.md": b"#"})},
        "gated/model": {},
        "refusing/model": {},
    }
    for revisions in repositories.values():
        revisions |= {commit: (commit, content) for commit, content in revisions.values()}
    server = Hub(repositories)
    names = ["some/model", "some/model@v1", f"some/model@{OLD}", "some/model@v2", "absent/model", "Qwen/Qwen3-0.6"]
    found = find(place, server, *names, *(name for name in repositories if name != "some/model"))
    yield server, place, found
    server.shutdown()
    server.server_close()


def find(place, server, *names, **environment):
    """What find_checkpoint says of each name, in a process of its own: the hub's client reads its variables once."""
    own = {"HF_HOME": str(place / "cache"), "HF_TOKEN": "hf_right", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    own |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "PYTHONPATH": str(ROOT)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    command = [sys.executable, "-c", FIND, *names]
    done = subprocess.run(command, env=kept | own | environment, cwd=place, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return dict(zip(names, map(json.loads, done.stdout.splitlines()), strict=True))


def test_a_repository_is_downloaded_at_the_revision_that_is_asked_for(hub):
    """Guards a run on other weights than those that its commit says, a token that is not sent, and files of no use."""
    server, place, found = hub
    for name, commit, template in (
        ("some/model", NEW, "hi"),
        ("some/model@v1", OLD, "hello"),
        (f"some/model@{OLD}", OLD, "hello"),
        ("private/model", NEW, "hello"),
    ):
        directory = Path(found[name][0])
        assert found[name] == [str(directory), commit]
        assert {path.name for path in directory.iterdir()} == {
            *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
        }
        assert (directory / "model.safetensors").read_bytes() == (place / "model/model.safetensors").read_bytes()
        assert (directory / "chat_template.jinja").read_text() == template
        assert load_model(directory).config == CONFIG
    assert not [file for file in server.sent if file.endswith((".py", ".bin", ".md"))]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("some/model@v2", ["no branch, tag or commit 'v2'"]),
        ("absent/model", ["no directory", "no such repository at http://127.0.0.1", "HF_TOKEN"]),
        ("Qwen/Qwen3-0.6", ["no such repository", "did you mean Qwen/Qwen3-0.6B?"]),
        ("gated/model", ["gated", "ask for access at http://127.0.0.1", "HF_TOKEN"]),
        ("refusing/model", ["401"]),
        ("short/model", ["download failed", "Consistency check"]),
        ("pickles/model", ["no model*.safetensors", "pytorch_model.bin", "save_pretrained"]),
        ("some/gpt2", ["config.json", 'model_type = "gpt2"']),
        ("some/dataset", ["no config.json"]),
    ],
)
def test_what_cannot_be_downloaded_is_said_in_one_line(name, words, hub):
    """Guards tracebacks, and runs that start on half a download."""
    server, _, found = hub
    message = found[name]
    assert isinstance(message, str)
    assert "\n" not in message
    assert all(word in message for word in words), message
    assert f"{name}/model.safetensors" not in server.sent or name == "short/model"  # refused before its weights come


def test_without_the_hub_the_cache_is_enough(hub):
    """Guards runs that need the network though all is there, and a traceback where it is not."""
    server, place, _ = hub
    sent = len(server.sent)
    found = find(place, server, "some/model", "some/model@v1", "some/other", HF_HUB_OFFLINE="1")
    assert [found[name][1] for name in ("some/model", "some/model@v1")] == [NEW, OLD]
    assert "HF_HUB_OFFLINE is set" in found["some/other"]
    assert len(server.sent) == sent
    nowhere = "http://127.0.0.1:9"
    found = find(place, server, "some/model", "some/other", HF_ENDPOINT=nowhere)
    assert found["some/model"][1] == NEW
    assert f"{nowhere} gave no answer" in found["some/other"]
    assert "\n" not in found["some/other"]


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device", "/cache"), RuntimeError("Data processing error:\n no reply")],
)
def test_a_download_that_breaks_off_is_said_in_one_line(error, tmp_path, monkeypatch):
    """Guards a traceback where the disk is full, or the hub's other client (hf_xet) gives up."""

    def download(*_, **__):
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoints, "snapshot_download", download)
    with pytest.raises(ValueError, match="^--model a/b: the download failed: .*(No space left|error: no reply)"):
        find_checkpoint("a/b")


def test_what_looks_like_a_path_is_not_asked_of_the_hub(tmp_path, monkeypatch):
    """Guards the name of a directory, misspelt, that is sent to a hub, where it may even name something."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoints, "snapshot_download", None)
    (tmp_path / "runs/mine").mkdir(parents=True)
    assert find_checkpoint("runs/mine") == (Path("runs/mine"), "")
    assert find_checkpoint("data/tiny") == (ROOT / "data/tiny", "")
    for name, words in (
        ("runs/mien", "'runs/mien' is no directory, nor a repository runs/mien@main; .*did you mean runs/mine"),
        ("Qwen3-0.6B", "did you mean Qwen/Qwen3-0.6B"),
        ("/runs/mine", "'/runs/mine' is no directory; the embedded checkpoint is data/tiny"),
        ("../runs", "no directory"),
        ("a/b/c", "no directory"),
        ("a/b@", "no directory"),
    ):
        with pytest.raises(ValueError, match=f"^--model: .*{words}"):
            find_checkpoint(name)


# tokenizers ------------------------------------------------------------------------------------------------

SOURCE = "def add(x, y):\n    return x  +  12\n\n# häuser"


def write_tokenizer(directory, template_file=False, **fields):
    """A tokenizer as DeepSeek-Coder has one: byte-level, but its class is named LlamaTokenizerFast."""
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=280, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([SOURCE, "    return None\n"], trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in ("<|begin|>", "<|EOT|>")])
    tokenizer.add_tokens([AddedToken("<think>", special=False)])
    tokenizer.save(str(directory / "tokenizer.json"))
    template = "{{ bos_token }}{% for m in messages %}[{{ m['content'] }}]{% endfor %}"
    fields = {"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<|begin|>"} | fields
    fields |= {"eos_token": "<|EOT|>", "pad_token": "<|EOT|>", "legacy": True, "model_max_length": 16384}
    if template_file:
        (directory / "chat_template.jinja").write_text(template)
    else:
        fields["chat_template"] = template
    (directory / "tokenizer_config.json").write_text(json.dumps(fields))
    save_model(init_model(CONFIG, seed=0), directory)
    return tokenizer


@pytest.mark.parametrize("template_file", [True, False])
def test_the_tokenizer_is_the_one_of_its_file(template_file, tmp_path, capfd):
    """Guards a tokenizer that is built by the class that is named, and is without spaces."""
    wanted = write_tokenizer(tmp_path, template_file).encode(SOURCE).ids
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer(SOURCE).input_ids == wanted
    assert tokenizer.decode(wanted) == SOURCE
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == ("<|begin|>", "<|EOT|>", "<|EOT|>")
    assert tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False) == "<|begin|>[hi]"
    assert capfd.readouterr().err == ""


def test_a_text_begins_with_bos_where_the_files_say_so(tmp_path):
    """Guards prompts without the token that every text of the pretraining began with, and prompts with two of them."""
    wanted = write_tokenizer(tmp_path, add_bos_token=True).encode(SOURCE).ids
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer(SOURCE).input_ids == [280, *wanted]
    assert tokenizer(SOURCE, add_special_tokens=False).input_ids == wanted
    tokenizer.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(tmp_path)(SOURCE).input_ids == [280, *wanted]  # now tokenizer.json says so itself
    write_tokenizer(tmp_path, add_bos_token=True, bos_token=None)
    with pytest.raises(ValueError, match="tokenizer_config.json: add_bos_token = true, but there is no bos_token"):
        load_tokenizer(tmp_path)


def test_ids_that_the_tokenizer_has_not_are_empty(tmp_path):
    """Guards models with more rows than tokens (Qwen3: 151,936 and 151,669), which may sample such an id."""
    write_tokenizer(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    table = token_bytes(tokenizer, CONFIG.vocab_size)
    assert len(table) == 400 > len(tokenizer)
    assert set(table[len(tokenizer) :]) == {b""}
    assert b"".join(table[i] for i in tokenizer(SOURCE + "<think><|EOT|>").input_ids).decode() == SOURCE + "<think>"


def test_a_tokenizer_that_is_damaged_or_of_another_model_is_refused(tmp_path):
    """Guards tracebacks, and a token that has no row in the embedding."""

    def refused(message):
        with pytest.raises(ValueError, match=message) as error:
            load_tokenizer(tmp_path)
        assert "\n" not in str(error.value)

    refused("no tokenizer.json; .*save_pretrained")
    write_tokenizer(tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(fields | {"vocab_size": 282}))
    refused(r"tokenizer.json: token '<think>' is number 282, but vocab_size = 282")
    path = tmp_path / "tokenizer_config.json"
    path.write_text(path.read_text()[:-9])
    refused(r"tokenizer_config.json: not JSON")
    path.unlink()
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text()[:-9])
    refused(r"tokenizer.json: not JSON")
    path.write_text("{}")
    refused(r"tokenizer.json: model: an object")


def test_the_end_is_what_the_generation_config_says(tmp_path):
    """Guards answers that run on to the budget, as of the ids that end a turn only one is known."""
    write_tokenizer(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert read_eos(tmp_path, tokenizer) == (tokenizer.eos_token_id,) == (281,)
    fields = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(fields | {"eos_token_id": 7}))
    assert read_eos(tmp_path, tokenizer) == (7,)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [5, 6]}')
    assert read_eos(tmp_path, tokenizer) == (5, 6)
    # As Llama-3.2-Instruct has them. The first one ends the answers that are written for supervised fine-tuning.
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [5, 6, 281]}')
    assert read_eos(tmp_path, tokenizer) == (281, 5, 6)
    for bad in ('"x"', "[]", "true", "-1", "[null]", "[5, 400]"):  # the model has 400 rows
        (tmp_path / "generation_config.json").write_text(f'{{"eos_token_id": {bad}}}')
        with pytest.raises(ValueError, match="generation_config.json: eos_token_id"):
            read_eos(tmp_path, tokenizer)
