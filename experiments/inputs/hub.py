"""Where a model comes from: a directory, or a repository of the Hugging Face hub; and its tokenizer.

Nothing that is downloaded is executed: weights are read from safetensors only, and a repository's Python files are not
even fetched. The hub's client keeps files in its cache and obeys its ordinary environment variables: HF_HOME (where the
cache is), HF_ENDPOINT (another hub), HF_TOKEN (who is asking), HF_HUB_OFFLINE=1 (the cache alone).
"""

import re
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HTTPError,  # what the client's own HTTP library raises: requests', httpx's
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast, logging

from experiments.options import EMBEDDED, checkpoint_path, nearest
from rl.files.config import read_config, read_json

PAPERS = (  # what --model most likely means, if it is misspelt
    "Qwen/Qwen3-0.6B",
    "Qwen/Qwen2.5-Coder-1.5B-Instruct",
    "meta-llama/Llama-3.2-1B",
    "meta-llama/Llama-3.2-1B-Instruct",
    "deepseek-ai/deepseek-coder-1.3b-instruct",
)
FILES = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template*",
    "model*.safetensors",
    "model.safetensors.index.json",
]


# the directory ---------------------------------------------------------------------------------------------


def find_checkpoint(name: str) -> tuple[Path, str]:
    """The directory that `--model` names, and the commit if it was downloaded ("" if it was there).

    `name` is a directory, "data/tiny", or a repository of the hub: owner/name, or owner/name@revision for a branch, a
    tag or a commit. What looks like a path into a directory that exists (runs/mine) is taken for one; with @revision it
    is a repository all the same.

    ValueError, one line, if it is none of them or cannot be had.
    """
    path = checkpoint_path(name)
    if path.is_dir():
        return path, ""
    repository, at, revision = name.partition("@")
    is_repository = re.fullmatch(r"\w[\w.-]*/[\w.-]+", repository, re.ASCII) and (revision or not at)
    if not is_repository or (path.parent.is_dir() and not at):
        near = nearest(name, [str(p) for p in path.parent.glob("*") if p.is_dir()] + [EMBEDDED, *PAPERS])
        other = f", nor a repository {name}@main" if is_repository else ""
        raise ValueError(f"--model: {name!r} is no directory{other}; the embedded checkpoint is {EMBEDDED}{near}")
    return _download(name, repository, revision or "main")


def _download(name: str, repository: str, revision: str) -> tuple[Path, str]:
    """The files of one commit. config.json comes first: if we cannot run the model, its weights need not come."""
    config = Path(_fetch(name, repository, revision, ["config.json"]), "config.json")
    if not config.is_file():
        raise ValueError(f"--model {name}: the repository has no config.json, so it is no model of transformers'")
    read_config(config.parent)
    commit = config.parent.name
    directory = Path(_fetch(name, repository, commit, FILES))
    if not any(directory.glob("model*.safetensors")):
        convert = "AutoModelForCausalLM.from_pretrained(NAME).save_pretrained(DIRECTORY)"
        why = "if it has pickles (pytorch_model.bin), they can run code and are not loaded; if you trust them"
        raise ValueError(f"--model {name}: the repository has no model*.safetensors; {why}, convert them: {convert}")
    return directory, commit


def _fetch(name: str, repository: str, revision: str, files: list[str]) -> str:
    """Those of the files that there are, in the hub's cache. All that can go wrong becomes a ValueError of one line."""
    token = "log in (hf auth login) or set HF_TOKEN"
    try:
        return snapshot_download(repository, revision=revision, allow_patterns=files)
    except GatedRepoError as error:
        page = f"{constants.ENDPOINT}/{repository}"
        raise ValueError(f"--model {name}: gated: ask for access at {page}, then {token}") from error
    except RepositoryNotFoundError as error:
        near = nearest(repository, [known for known in PAPERS if known != repository])
        what = f"no directory, and no such repository at {constants.ENDPOINT}"
        raise ValueError(f"--model {name}: {what} (if it is private, {token}){near}") from error
    except RevisionNotFoundError as error:
        raise ValueError(f"--model {name}: the repository has no branch, tag or commit {revision!r}") from error
    except LocalEntryNotFoundError as error:
        asked = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} gave no answer"
        cache = f"the cache {constants.HF_HUB_CACHE} has not all of it"
        raise ValueError(f"--model {name}: no directory; as a repository: {asked}, and {cache}") from error
    except (OSError, HTTPError, RuntimeError) as error:  # a full disk, a broken connection; RuntimeError is hf_xet's
        raise ValueError(f"--model {name}: the download failed: {' '.join(str(error).split())}") from error


# the tokenizer ---------------------------------------------------------------------------------------------


def load_tokenizer(directory: Path) -> PreTrainedTokenizerFast:
    """The tokenizer that `tokenizer.json` describes, with the special tokens and chat template of the files beside it.

    Not AutoTokenizer: that goes by the class that tokenizer_config.json names, and a class may have a mind of its own.
    LlamaTokenizerFast, which DeepSeek-Coder's names, would in transformers 5 build a SentencePiece tokenizer of the
    byte-level vocabulary, which loses all spaces. All that such a class does and the file does not say is to put a BOS
    before a text, where tokenizer_config.json has `add_bos_token`: so do we.

    ValueError, one line: no such file, a damaged one, a token that the model has no row for.
    """
    path = directory / "tokenizer.json"
    if not path.is_file():
        convert = "AutoTokenizer.from_pretrained(OLD).save_pretrained(NEW)"
        raise ValueError(f"{directory}: no tokenizer.json; transformers makes it of other formats: {convert}")
    # Read here so that damage is told with the file's name.
    beside = [directory / name for name in ("special_tokens_map.json", "tokenizer_config.json")]
    fields = {name: value for file in beside if file.is_file() for name, value in read_json(file).items()}
    model = read_json(path).get("model")
    if not isinstance(model, dict) or "vocab" not in model:
        raise ValueError(f"{path}: model: an object with a vocab is needed")
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # transformers 4 warns that this is not the class that is named
    tokenizer = PreTrainedTokenizerFast.from_pretrained(directory, local_files_only=True)  # nosec B615: no download
    logging.set_verbosity(verbosity)
    rows = read_config(directory).vocab_size
    token, number = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if number >= rows:
        raise ValueError(f"{path}: token {token!r} is number {number}, but vocab_size = {rows} in config.json")
    if fields.get("add_bos_token") is True:
        _add_bos(tokenizer, directory)
    return tokenizer


def _add_bos(tokenizer: PreTrainedTokenizerFast, directory: Path) -> None:
    """Has the tokenizer begin each text with its BOS, if it does not yet (and if special tokens are asked for)."""
    if tokenizer.bos_token is None:
        raise ValueError(f"{directory / 'tokenizer_config.json'}: add_bos_token = true, but there is no bos_token")
    if tokenizer("").input_ids[:1] != [tokenizer.bos_token_id]:
        bos = (tokenizer.bos_token, tokenizer.bos_token_id)
        template = TemplateProcessing(single=[bos[0], "$A"], special_tokens=[bos])
        tokenizer.backend_tokenizer.post_processor = template


def read_eos(directory: Path, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The ids that end a text (one or a list in the files): generation_config.json's, else config.json's, else the
    tokenizer's. If the tokenizer's own is among them it comes first: it is the one that ends an answer, where Llama 3's
    list begins with the one that ends a document. ValueError if there are none, or one that the model has not."""
    for name in ("generation_config.json", "config.json"):
        path = directory / name
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
