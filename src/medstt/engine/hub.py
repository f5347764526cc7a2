"""Model folders from the Hugging Face hub or its local cache. Knows nothing of what is in them.

A name without a revision stays at the one that was downloaded first, until another is asked for: nothing changes under
a running service, and nothing is asked of the network once a model is there.
"""

from __future__ import annotations

from pathlib import Path

from medstt.errors import ModelUnavailable, OptionError, UnknownModel

_NEEDED = ("config.json", "tokenizer.json")
_FILES = (
    *_NEEDED,
    "generation_config.json",
    "preprocessor_config.json",
    "card.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",  # not the float32 copies that some repositories keep beside
)


def fetch(repo_id: str, revision: str | None = None, *, cache: Path | None = None) -> Path:
    """Return the folder of a hub model, downloaded with a progress bar on first use.

    ``revision`` is a commit, tag or branch; ``cache`` a folder in the hub cache's layout (default: the hub's own).
    Raises ModelUnavailable without network or permission, UnknownModel where the hub has no such model or revision,
    OptionError for an impossible name.
    """
    from huggingface_hub import constants, errors, snapshot_download

    wanted = f"{repo_id}@{revision}" if revision else repo_id
    place = Path(cache or constants.HF_HUB_CACHE)
    try:
        folder = Path(
            snapshot_download(
                repo_id, revision=revision, cache_dir=place, allow_patterns=list(_FILES), local_files_only=True
            )
        )
        if _missing(folder) is None:
            return folder
    except errors.HFValidationError as error:
        raise OptionError(f"{repo_id!r} is not a hub id", "Write owner/name, or name a folder as ./name") from error
    except errors.LocalEntryNotFoundError:
        pass  # not there yet
    try:
        folder = Path(snapshot_download(repo_id, revision=revision, cache_dir=place, allow_patterns=list(_FILES)))
    except errors.GatedRepoError as error:
        raise ModelUnavailable(f"{repo_id}: the hub asks for an agreement first", _elsewhere(repo_id, place)) from error
    except errors.RevisionNotFoundError as error:
        raise UnknownModel(f"{repo_id} has no revision {revision!r} on the hub", "Check the revision") from error
    except errors.RepositoryNotFoundError as error:
        raise UnknownModel(f"The hub has no model {repo_id!r}", "Check the name, or log in if it is private") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HfHubHTTPError, OSError) as error:
        raise ModelUnavailable(
            f"{wanted} is not in {place} and the hub cannot be reached", _elsewhere(repo_id, place)
        ) from error
    if missing := _missing(folder):  # the hub's client hands an incomplete folder back when it cannot reach the hub
        raise ModelUnavailable(
            f"{wanted} is not in {place} whole ({missing} is missing) and the hub did not give the rest",
            f"{_elsewhere(repo_id, place)}; a repository without that file has to be converted with transformers first",
        )
    return folder


def _missing(folder: Path) -> str | None:
    """Return the first file that is needed and not there."""
    if not any(folder.glob("model*.safetensors")):
        return "model.safetensors"
    return next((name for name in _NEEDED if not (folder / name).is_file()), None)


def _elsewhere(repo_id: str, place: Path) -> str:
    name = f"models--{repo_id.replace('/', '--')}"
    return (
        f"On a machine with internet run `hf download {repo_id}` and copy its folder "
        f"~/.cache/huggingface/hub/{name} to {place / name}"
    )
