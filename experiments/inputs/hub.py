"""Finds a checkpoint, a directory or a repository of the Hugging Face hub, and reads its tokenizer.

Nothing downloaded is executed: weights are safetensors, and Python files are not fetched. The client reads
its environment variables: HF_HOME (the cache), HF_ENDPOINT (another hub), HF_TOKEN, HF_HUB_OFFLINE=1 (the cache alone).
"""

import re
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HTTPError,  # of the client's own HTTP library, requests or httpx
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast, logging

from rl.files.config import read_config, read_json
from rl.options import nearest

EMBEDDED = "data/tiny"
KNOWN_MODELS = (  # suggestions if --model is misspelt
    "Qwen/Qwen3-0.6B",
    "Qwen/Qwen2.5-Coder-1.5B-Instruct",
    "meta-llama/Llama-3.2-1B",
    "meta-llama/Llama-3.2-1B-Instruct",
    "deepseek-ai/deepseek-coder-1.3b-instruct",
)
FILES = [
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("chat_template*", "model*.safetensors", "model.safetensors.index.json"),
]


# the directory ---------------------------------------------------------------------------------------------


def checkpoint_path(name: str) -> Path:
    """The directory that `--model` names; "data/tiny" is the embedded one wherever the command is started."""
    return Path(__file__).parents[2] / EMBEDDED if name == EMBEDDED else Path(name)


def find_checkpoint(name: str) -> tuple[Path, str]:
    """The directory that `--model` names, and the commit if it was downloaded ("" if not).

    `name` is a directory, "data/tiny", or a repository of the hub: owner/name, or owner/name@revision (a branch, a tag
    or a commit). A name within a directory that exists (runs/mine) is a path, unless it has @revision.

    ValueError, one line, if it is none of them or the download fails.
    """
    path = checkpoint_path(name)
    if path.is_dir():
        return path, ""
    repository, at, revision = name.partition("@")
    is_repository = re.fullmatch(r"\w[\w.-]*/[\w.-]+", repository, re.ASCII) and (revision or not at)
    if not is_repository or (path.parent.is_dir() and not at):
        near = nearest(name, [*(str(p) for p in path.parent.glob("*") if p.is_dir()), EMBEDDED, *KNOWN_MODELS])
        other = f", nor a repository {name}@main" if is_repository else ""
        raise ValueError(f"--model: {name!r} is no directory{other}; the embedded checkpoint is {EMBEDDED}{near}")
    return _download(name, repository, revision or "main")


def _download(name: str, repository: str, revision: str) -> tuple[Path, str]:
    """The files of one commit. config.json comes first, so weights that we cannot run are not downloaded."""
    config = Path(_fetch(name, repository, revision, ["config.json"]), "config.json")
    if not config.is_file():
        raise ValueError(f"--model {name}: the repository has no config.json, so it is no model of transformers'")
    read_config(config.parent)
    commit = config.parent.name
    directory = Path(_fetch(name, repository, commit, FILES))
    if not any(directory.glob("model*.safetensors")):
        convert = "AutoModelForCausalLM.from_pretrained(NAME).save_pretrained(DIRECTORY)"
        why = "pickles (pytorch_model.bin) can run code and are not loaded; if you trust them"
        raise ValueError(f"--model {name}: the repository has no model*.safetensors; {why}, convert them: {convert}")
    return directory, commit


def _fetch(name: str, repository: str, revision: str, files: list[str]) -> str:
    """Downloads those of the files that exist to the hub's cache. Every failure becomes a ValueError of one line."""
    token = "log in (hf auth login) or set HF_TOKEN"
    try:
        return snapshot_download(repository, revision=revision, allow_patterns=files)
    except GatedRepoError as error:
        page = f"{constants.ENDPOINT}/{repository}"
        raise ValueError(f"--model {name}: gated: ask for access at {page}, then {token}") from error
    except RepositoryNotFoundError as error:
        near = nearest(repository, [known for known in KNOWN_MODELS if known != repository])
        what = f"no directory, and no such repository at {constants.ENDPOINT}"
        raise ValueError(f"--model {name}: {what} (if it is private, {token}){near}") from error
    except RevisionNotFoundError as error:
        raise ValueError(f"--model {name}: the repository has no branch, tag or commit {revision!r}") from error
    except LocalEntryNotFoundError as error:
        asked = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} gave no answer"
        cache = f"the cache {constants.HF_HUB_CACHE} has not all of it"
        raise ValueError(f"--model {name}: no directory; as a repository: {asked}, and {cache}") from error
    except (OSError, HTTPError, RuntimeError) as error:  # a full disk, a broken connection; RuntimeError of hf_xet
        raise ValueError(f"--model {name}: the download failed: {' '.join(str(error).split())}") from error


# the tokenizer ---------------------------------------------------------------------------------------------


def load_tokenizer(directory: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of `tokenizer.json`, with the special tokens and the chat template of the files beside it.

    AutoTokenizer builds the class that tokenizer_config.json names: for DeepSeek-Coder's LlamaTokenizerFast,
    transformers 5 makes a SentencePiece tokenizer of a byte-level vocabulary, and all spaces are lost. The class adds
    only a BOS before each text if `add_bos_token` is true. We do the same.

    ValueError, one line: no such file, a damaged one, a token that has no row in the embedding.
    """
    path, config = directory / "tokenizer.json", directory / "tokenizer_config.json"
    if not path.is_file():
        convert = "AutoTokenizer.from_pretrained(OLD).save_pretrained(NEW)"
        raise ValueError(f"{directory}: no tokenizer.json; transformers makes it of other formats: {convert}")
    beside = (directory / "special_tokens_map.json", config)
    fields = {name: value for file in beside if file.is_file() for name, value in read_json(file).items()}
    model = read_json(path).get("model")
    if not isinstance(model, dict) or "vocab" not in model:
        raise ValueError(f"{path}: model: an object with a vocab is needed")
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # transformers 4 warns that tokenizer_config.json names another class
    tokenizer = PreTrainedTokenizerFast.from_pretrained(directory, local_files_only=True)  # nosec B615: no download
    logging.set_verbosity(verbosity)
    rows = read_config(directory).vocab_size
    token, number = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if number >= rows:
        raise ValueError(f"{path}: token {token!r} is number {number}, but vocab_size = {rows} in config.json")
    if fields.get("add_bos_token") is True:
        bos = (tokenizer.bos_token, tokenizer.bos_token_id)
        if bos[0] is None:
            raise ValueError(f"{config}: add_bos_token = true, but there is no bos_token")
        if tokenizer("").input_ids[:1] != [bos[1]]:  # tokenizer.json does not add it itself
            template = TemplateProcessing(single=[bos[0], "$A"], special_tokens=[bos])
            tokenizer.backend_tokenizer.post_processor = template
    return tokenizer


def read_eos(directory: Path, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The token ids that end a text: those of generation_config.json, else of config.json, else of the tokenizer.

    The tokenizer's own id comes first: it ends an answer (Llama 3's list begins with the id that ends a document).
    ValueError if there are none, or one that the model has no row for.
    """
    for path in (directory / "generation_config.json", directory / "config.json"):
        found = read_json(path).get("eos_token_id") if path.is_file() else None
        if found is not None:
            break
    else:
        path, found = directory / "tokenizer_config.json", tokenizer.eos_token_id
    ids = found if isinstance(found, list) else [found]
    if not ids or not all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in ids):
        raise ValueError(f"{path}: eos_token_id: {found!r}: a token id or a list of them is needed")
    rows = read_config(directory).vocab_size
    if max(ids) >= rows:
        raise ValueError(f"{path}: eos_token_id: {max(ids)} is no token: vocab_size = {rows} in config.json")
    return tuple(sorted(ids, key=lambda i: i != tokenizer.eos_token_id))
