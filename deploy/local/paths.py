"""Where things lie: the checkout, the cache beside it, and one stack's data folder."""

from dataclasses import dataclass
from pathlib import Path

from shared.errors import KizashiError

ROOT = Path(__file__).resolve().parents[2]
"""The checkout. Everything the set-up fetches stays inside it, nothing goes to the home folder."""

CACHE = ROOT / ".cache"
KAFKA_LOCK = Path(__file__).with_name("kafka.lock")
LIBS = CACHE / "kafka"
"""Kafka's jars and the JDK's cache of their loaded classes."""

_PARTS = frozenset(
    {"run", "logs", "secrets", "keys.json", "kafka", "postgres", "spool", "exports"}
    # What file systems and version control add by themselves.
    | {"lost+found", ".DS_Store", ".gitignore", ".gitkeep"}
)


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The folder of one stack; its parts. Make it by `DataFolder.at`, which makes the path absolute."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> "DataFolder":
        return cls(path.expanduser().resolve())

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.path / "run" / "lock"

    @property
    def state(self) -> Path:
        return self.path / "run" / "state.json"

    @property
    def ports(self) -> Path:
        return self.path / "run" / "ports.json"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def secrets(self) -> Path:
        return self.path / "secrets"

    @property
    def identity_secret(self) -> Path:
        return self.secrets / "identity_secret"

    @property
    def cli_key(self) -> Path:
        return self.secrets / "cli_key"

    @property
    def key_store(self) -> Path:
        return self.path / "keys.json"

    @property
    def kafka(self) -> Path:
        return self.path / "kafka"

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    def log(self, name: str) -> Path:
        """The log file of one process."""
        return self.logs / f"{name}.log"

    @property
    def was_used(self) -> bool:
        """Whether a stack was ever started on the folder, or the folder made for one."""
        return self.lock.parent.is_dir()

    def foreign(self) -> list[str]:
        """The names in the folder that no stack put there; none once a stack has held its lock."""
        if self.lock.exists() or not self.path.is_dir():
            return []
        return sorted(item.name for item in self.path.iterdir() if not _is_part(item.name))

    def create(self) -> None:
        """Make the folders. Raises KizashiError where that is not allowed."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for folder in (self.lock.parent, self.logs):
                folder.mkdir(exist_ok=True)
            self.secrets.mkdir(mode=0o700, exist_ok=True)
            self.secrets.chmod(0o700)
        except (FileExistsError, NotADirectoryError):
            raise KizashiError(f"{self.path} cannot be a data folder: a file is in the way") from None
        except OSError as error:
            raise KizashiError(f"the data folder {self.path} cannot be written: {error.strerror}") from None


def _is_part(name: str) -> bool:
    # Beside the keys lie their lock, and drafts of a writer that was killed.
    return name in _PARTS or name.startswith("keys.json.")
