"""Whose the store's files are: its owner's alone, whatever the umask was and whoever made them.

A file that another account may open is a file that it may read, and lock: a lock needs no right to write. So the folder
is 0700 and each file in it 0600; what is wider is narrowed, and what cannot be is refused with a sentence.
"""

import os
import stat
from pathlib import Path

from bimip.storage.errors import StorageError

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = 0o077


def private_folder(folder: Path) -> list[Path]:
    """The folder, made if it is missing, with all its files for their owner alone. Those that were not before.

    Raises StorageError where something belongs to another account, or keeps being open to others; OSError.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    found = [(folder, FOLDER_MODE)]
    with os.scandir(folder) as files:
        found += [(Path(file), FILE_MODE) for file in files if file.is_file(follow_symlinks=False)]
    return [path for path, mode in found if _narrow(path, mode)]


def open_private(path: Path, flags: int) -> int:
    """A descriptor of a file that is made, if it is missing, for its owner alone."""
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)


def _narrow(path: Path, mode: int) -> bool:
    """Whether others could open it until now."""
    about = path.stat()
    if about.st_uid != os.geteuid():
        sentence = f"{path} belongs to another account (number {about.st_uid}): run this as that account, or give"
        raise StorageError(f"{sentence} the store a folder of its own")
    if stat.S_IMODE(about.st_mode) == mode:
        return False
    path.chmod(mode)
    if stat.S_IMODE(path.stat().st_mode) & OTHERS:
        sentence = f"{path} stays open to other accounts, because its file system keeps no modes"
        raise StorageError(f"{sentence}: move the store to one that does")
    return bool(about.st_mode & OTHERS)
