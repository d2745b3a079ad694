"""Pretrained models of transformers: which one is meant, what exactly it holds, and how it is loaded."""

import hashlib
import os
import pickle
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from common.errors import InputError, brief, is_want_of_memory
from common.features.packages import package
from common.files import HEAD, mistaken_for, sha256

HELD = (
    ".json",
    ".safetensors",
    ".bin",
    ".txt",
    ".model",
)  # weights for torch, settings, vocabularies
POINTER = b"version https://git-lfs"
UNUSED = ("pooler.", "masked_spec_embed")  # weights that features do not depend on: heads, and noise of training
_DOWNLOAD = "download it where there is a connection, and give the folder"


@dataclass(frozen=True)
class Model:
    """One pretrained model.

    `name`: as it was given. `source`: an absolute folder or a name of the hub, as `from_pretrained` takes it.
    `revision`: the commit of a hub's model; None for a folder. `sha256`: a hash of what a folder holds; None for a
    hub's model, as the commit says it.
    """

    name: str
    source: str
    revision: str | None = None
    sha256: str | None = None

    def identity(self) -> dict[str, str | None]:
        """What the weights depend on: not where a folder lies."""
        return {"model": None if self.sha256 else self.source, "revision": self.revision, "sha256": self.sha256}


def resolve(name_or_dir: str | Path, revision: str | None = None) -> Model:
    """The model that is meant by a folder, or by a name of the Hugging Face hub, such as "roberta-large".

    `revision`: branch, tag or commit of a hub's model; None: the main branch. A folder that exists comes first, as in
    transformers. Raises InputError where there is no such folder or model, where it cannot be had, and where it is none
    of transformers.
    """
    name = str(name_or_dir)
    folder = Path(os.path.expanduser(name))  # Path's own raises where there is no such home
    if name and folder.is_dir():
        if revision is not None:
            raise InputError(f"{name}: found a folder, and a revision ({revision}); a folder has none; leave it out")
        return _folder(name, folder.resolve())
    if folder.is_file():
        raise InputError(f"{name}: found a file; expected the folder of a model, with its config.json")
    if not name.strip():
        raise InputError("the name of a model is empty; expected a folder, or a name of the Hugging Face hub")
    if is_path(name):
        raise InputError(f"{name}: no such folder; expected one with the config.json and weights of a model")
    return Model(name, name, _commit(name, revision))


def is_path(name: str) -> bool:
    """Whether `name` can only be a path, and not a name of the hub, which is NAME or OWNER/NAME."""
    odd = "\\" in name or name.count("/") > 1 or name.endswith(("/", ".safetensors", ".bin"))
    return odd or name.startswith((".", "/", "~")) or os.path.exists(name)


def file_of(model: Model, name: str) -> Path | None:
    """The file `name` of `model`, downloaded where need be; None where it has none. Raises InputError as `resolve`."""
    if model.revision is None:
        path = Path(model.source, name)
        return path if path.is_file() else None
    return _hub_file(model.source, name, model.revision)


def load(model: Model, kind: str = "AutoModel", device: str = "cpu", may_lack: tuple[str, ...] = ()) -> Any:
    """The network of `model` in float32 on `device`, for evaluation. `kind`: the class of transformers that makes it.

    Weights come from safetensors, else from what torch reads without running code. Raises InputError where they cannot
    be read, or where some are missing, but for those whose names begin with one of UNUSED or `may_lack`.
    """
    network, found = _from_pretrained(model, kind, dtype=torch.float32, output_loading_info=True)
    missing = sorted(key for key in found["missing_keys"] if not key.startswith((*UNUSED, *may_lack)))
    if missing:
        raise InputError(
            f"{model.name}: its weights lack {len(missing)} of those that a {type(network).__name__} has, such as "
            f"{missing[0]}; expected all of an encoder; give another model, or get this one again"
        )
    return network.eval().to(device)


def load_tokenizer(model: Model) -> Any:
    """The tokenizer of `model`. Raises InputError where it has none that fits."""
    tokenizer = _from_pretrained(model, "AutoTokenizer")
    if len(set(tokenizer("What is it?", add_special_tokens=False)["input_ids"])) < 2:
        raise InputError(f"{model.name}: its tokenizer knows no words; expected tokenizer.json or the vocabulary files")
    return tokenizer


def precision(device: str) -> str:
    """In which numbers an encoder computes: bfloat16 products on a GPU (autocast), float32 on a CPU."""
    return "bfloat16" if torch.device(device).type == "cuda" else "float32"


def autocast(device: str) -> AbstractContextManager:
    """Where an encoder computes with that precision."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision(device) == "bfloat16")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers and the hub from writing warnings and bars, but for those of downloads on a terminal."""
    logging = package("transformers").utils.logging
    bars = package("huggingface_hub.utils")
    shown, hub_shown = logging.is_progress_bar_enabled(), not bars.are_progress_bars_disabled()
    loud = [(speaker, speaker.get_verbosity()) for speaker in (logging, bars.logging)]
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")  # or else a thread asks the hub to convert weights
    for speaker, _ in loud:
        speaker.set_verbosity(speaker.CRITICAL)
    logging.disable_progress_bar()
    if hub_shown and sys.stderr is not None and sys.stderr.isatty():
        bars.enable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for speaker, verbosity in loud:
            speaker.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()
        (bars.enable_progress_bars if hub_shown else bars.disable_progress_bars)()


def _from_pretrained(model, kind, **options):
    transformers = package("transformers")
    try:
        with quiet():
            return getattr(transformers, kind).from_pretrained(
                model.source, revision=model.revision or "main", trust_remote_code=False, **options
            )
    except Exception as error:  # whatever a foreign file leads to
        if is_want_of_memory(error):
            raise
        reason = "its weights are a pickle that runs code" if _unsafe(error) else brief_reason(error)
        raise InputError(
            f"{model.name}: transformers cannot load it ({reason}); expected config.json, weights (safetensors) and "
            "tokenizer of an encoder that needs no code of its own"
        ) from None


def _unsafe(error):
    return isinstance(error, pickle.UnpicklingError) or isinstance(error.__cause__, pickle.UnpicklingError)


def brief_reason(error: Exception) -> str:
    """What a library says is wrong, in one short line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _folder(name, folder):
    if not (folder / "config.json").is_file():
        raise InputError(
            f"{name}: the folder has no config.json; expected one that transformers' save_pretrained has written"
        )
    files = [path for path in folder.rglob("*") if path.suffix in HELD and path.is_file()]
    files = [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    safe = {path.parent for path in files if path.suffix == ".safetensors"}
    digest = hashlib.sha256()
    for path in sorted(files):
        if path.suffix != ".bin" or path.parent not in safe:
            _refuse_pointer(path)
            digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256(path)}\n".encode())
    return Model(name, str(folder), None, digest.hexdigest())


def _refuse_pointer(path):
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if head.startswith(POINTER):
        raise InputError(f"{path}: found {mistaken_for(head)}; expected a file of the model")


def _commit(name, revision):
    path = _hub_file(name, "config.json", revision)
    if path is None:
        raise InputError(f"{name}: this model of the hub has no config.json; expected one of transformers")
    return path.parent.name  # .../snapshots/COMMIT/config.json


def _hub_file(name, file, revision):
    """The file of the hub in its cache, or None where the model has no such file."""
    hub = package("huggingface_hub")
    errors = package("huggingface_hub.errors")
    try:
        with quiet():
            return Path(hub.hf_hub_download(name, file, revision=revision))
    except errors.LocalEntryNotFoundError:
        why = (
            "the setting HF_HUB_OFFLINE forbids connections" if hub.constants.HF_HUB_OFFLINE else "it cannot be reached"
        )
        problem = f"it is not in the cache of the hub, and {why}; {_DOWNLOAD}"
    except errors.EntryNotFoundError:
        return None
    except errors.GatedRepoError:
        problem = "the hub gives it only to those who have asked for access; ask on its page and run `hf auth login`"
    except errors.RepositoryNotFoundError:
        problem = "the hub has no public model of this name; check the name, or run `hf auth login` for a private one"
    except errors.RevisionNotFoundError:
        problem = f"the hub's model has no revision {brief(revision)}; give one of its branches, tags or commits"
    except errors.HFValidationError:
        problem = "it is no name of the hub, either; expected NAME or OWNER/NAME"
    except Exception as error:  # connections fail in many ways
        problem = f"the hub did not give it ({brief_reason(error)}); try again, or {_DOWNLOAD}"
    raise InputError(f"{name}: no such folder; as a model of the hub: {problem}")
