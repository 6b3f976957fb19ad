"""`bimip location`: with whom a user shares where they are, as one of their devices says it."""

from bimip.cli.devices import Device, asking
from bimip.cli.failures import Exit, Failure
from bimip.cli.words import date_text, printable, show_json


async def share(device: Device, with_whom: str, *, at: str = "", minutes: float = 60.0, as_json: bool = False) -> None:
    """Shares where the token's user is, for so long, and says where that is: `at` is latitude and longitude."""
    place = _place(at) if at else None
    async with asking(device) as client:
        ends = await client.locations.share(with_whom, seconds=minutes * 60)
        if place is not None:
            await client.locations.send(*place)
    if as_json:
        show_json({"with": with_whom, "expires_at": ends})
    else:
        print(f"shared with {printable(with_whom)} until {date_text(ends)}")


async def stop(device: Device, with_whom: str, *, as_json: bool = False) -> None:
    async with asking(device) as client:
        await client.locations.stop_sharing(with_whom)
    show_json({"with": with_whom}) if as_json else print(f"not shared with {printable(with_whom)}")


def _place(at: str) -> tuple[float, float]:
    latitude, _, longitude = at.partition(",")
    try:
        return float(latitude), float(longitude)
    except ValueError:
        sentence = f"--at is a latitude and a longitude in degrees, as in 52.5,13.4, and not {at!r}"
        raise Failure(Exit.USAGE, sentence) from None
