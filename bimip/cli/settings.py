"""Which settings a command works with: --config, else the file that BIMIP_CONFIG names, else the defaults."""

import os
from collections.abc import Mapping
from pathlib import Path

from bimip.config import Settings, load_settings


def find_settings(config: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """ConfigError says what is wrong with them."""
    return load_settings(find_file(config, environ), environ)


def find_file(config: Path | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Finds the file that settings are read from; None: there is none."""
    if config is None and environ.get("BIMIP_CONFIG"):
        return Path(environ["BIMIP_CONFIG"])
    return config


def demo_settings() -> Path:
    """The demonstration's, as they are installed with the package; in a checkout they lie beside it."""
    package = Path(__file__).parents[1]
    installed = package / "share" / "demo.toml"
    return installed if installed.exists() else package.parent / "config" / "demo.toml"


def gateway_url(settings: Settings) -> str:
    scheme = "wss" if settings.gateway.tls_certificate else "ws"
    return f"{scheme}://{_address(settings.gateway.host)}:{settings.gateway.port}"


def page_url(settings: Settings) -> str:
    """Names the origin of the pages that the server shows."""
    return gateway_url(settings).replace("ws", "http", 1)


def console_url(settings: Settings) -> str:
    return f"http://{_address(settings.console.host)}:{settings.console.port}"


def _address(host: str) -> str:
    """Makes of a host what stands in a URL; a server on all interfaces is on this one too."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read here, not bound
    return f"[{host}]" if ":" in host else host
