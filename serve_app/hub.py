"""Models and files of the model hub, through its own client, which knows the user's token, mirror (HF_ENDPOINT) and offline switch."""

import re
import shutil
from pathlib import Path

from filelock import FileLock

from serve_app import licences
from serve_app.artifacts import HubFile
from serve_app.cache import intact, put_in_place, write_stamp
from serve_app.errors import ArtifactMissing

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
NO_HUB = (
    "no model hub can be reached: see HF_ENDPOINT, HF_TOKEN and the proxy variables, "
    "or copy the model here by hand and give the path of its folder instead of its name"
)


def is_repository(name: str) -> bool:
    return REPOSITORY.fullmatch(name) is not None


def fetch_file(source: HubFile, target: Path) -> None:
    """Raises `ArtifactMissing`."""
    scratch = target.with_name(target.name + ".hub")
    try:
        from huggingface_hub import hf_hub_download

        shutil.move(hf_hub_download(source.repo, source.path, local_dir=scratch), target)
    except Exception as error:  # of three libraries, and changing between versions
        raise ArtifactMissing(f"{source.repo}: {_reason(error)}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def present(name: str, cache: Path) -> bool:
    return intact(_folder(name, cache), name, rehash=False)


def ensure(name: str, cache: Path, progress: bool) -> Path:
    """The folder of the whole repository `name`. What has come is kept when it breaks off. Raises `ArtifactMissing`."""
    folder = _folder(name, cache)
    if present(name, cache):
        return folder
    staged = folder.with_name(folder.name + ".part")
    staged.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not present(name, cache):
            licences.show(name, licence_of(name))
            _snapshot(name, staged, progress)
            files = [str(path.relative_to(staged)) for path in sorted(staged.rglob("*")) if path.is_file()]
            # The hub's client has checked them; hashing tens of gigabytes once more would cost minutes.
            write_stamp(staged, name, dict.fromkeys(files))
            put_in_place(staged, folder)
    return folder


def _folder(name: str, cache: Path) -> Path:
    return cache / "hub" / name.replace("/", "--")


def licence_of(name: str) -> str:
    """As the hub has it in the model's card; a name of its own where the card says `other`. Raises `ArtifactMissing`."""
    import huggingface_hub

    try:
        card = huggingface_hub.model_info(name).card_data
    except Exception as error:  # of three libraries, and changing between versions
        raise ArtifactMissing(f"the hub model {name} cannot be fetched ({_reason(error)}): {NO_HUB}") from error
    licence, own_name = (card.get("license"), card.get("license_name")) if card is not None else (None, None)
    return str((own_name if licence == "other" else licence) or licence or licences.NOT_STATED)


def _snapshot(name: str, staged: Path, progress: bool) -> None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

    (enable_progress_bars if progress else disable_progress_bars)()
    try:
        snapshot_download(name, local_dir=staged)
    except Exception as error:  # of three libraries, and changing between versions
        raise ArtifactMissing(f"the hub model {name} cannot be fetched ({_reason(error)}): {NO_HUB}") from error
    # The client's own notes on the download; the stamp replaces them.
    shutil.rmtree(staged / ".cache", ignore_errors=True)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
