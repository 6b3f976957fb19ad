"""What an operator can set about the store."""

from dataclasses import dataclass

from bimip.settings import MIB, TIB, choice, nonempty, setting, whole


@dataclass(frozen=True, slots=True)
class StoreSettings:
    engine: str = setting("lmdb", choice("lmdb", "memory"))
    path: str = setting("data/store", nonempty("a path"))
    map_size_bytes: int = setting(TIB, whole(64 * MIB, 2**47))
    quota_bytes: int = setting(0, whole(0, 2**47))

    def contradictions(self) -> list[str]:
        most = self.map_size_bytes // 8 * 7  # the store needs room to delete something when it is full
        if self.quota_bytes > most:
            allowed = f"seven eighths of map_size_bytes ({most}) or less"
            return [f"store.quota_bytes is {self.quota_bytes}; allowed: {allowed}"]
        return []
