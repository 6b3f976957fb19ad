"""What an operator can set about the store."""

from dataclasses import dataclass

from bimip.settings import MIB, NO_SECRET, SECRET, TEXT, TIB, Secret, choice, nonempty, read_secret, setting, whole


@dataclass(frozen=True, slots=True)
class StoreSettings:
    engine: str = setting("lmdb", choice("lmdb", "postgres", "memory"))
    path: str = setting("data/store", nonempty("a path"))
    dsn: Secret = setting(NO_SECRET, SECRET)
    dsn_file: str = setting("", TEXT)
    map_size_bytes: int = setting(TIB, whole(64 * MIB, 2**47))
    quota_bytes: int = setting(0, whole(0, 2**47))

    def contradictions(self) -> list[str]:
        problems = []
        if self.dsn and self.dsn_file:
            problems.append("store.dsn and store.dsn_file are both set; allowed: one of them")
        if self.engine == "postgres" and not (self.dsn or self.dsn_file):
            problems.append('store.engine is "postgres" and store.dsn is empty; allowed: how to reach the database')
        most = self.map_size_bytes // 8 * 7  # the store needs room to delete something when it is full
        if self.engine != "postgres" and self.quota_bytes > most:
            allowed = f"seven eighths of map_size_bytes ({most}) or less"
            problems.append(f"store.quota_bytes is {self.quota_bytes}; allowed: {allowed}")
        return problems

    def read_dsn(self) -> Secret:
        """Reads how the database is reached, from its file if one is named. Raises ConfigError."""
        return read_secret("store.dsn", self.dsn, self.dsn_file)
