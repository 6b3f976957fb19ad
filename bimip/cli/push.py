"""`bimip push`: how the devices of a token's user are reached while they are not connected."""

from bimip.cli.devices import Device, asking
from bimip.cli.words import printable, show_json


async def show_push(device: Device, *, as_json: bool = False) -> None:
    """Shows what the server pushes by, and a line for each subscription."""
    async with asking(device) as client:
        offer = await client.push.offer()
    if as_json:
        show_json({"platforms": offer.platforms, "public_key": offer.public_key})
    else:
        print(f"this server pushes by {', '.join(offer.platforms) or 'nothing'}")
    for one in offer.subscriptions:
        if as_json:
            show_json({"id": one.id, "device": one.device, "platform": one.platform, "token": one.token})
        else:
            print(f"{printable(one.device)}   {printable(one.id)}   {one.platform}   {printable(one.token)}")


async def subscribe(device: Device, platform: str, token: str, name: str, *, as_json: bool = False) -> None:
    async with asking(device) as client:
        told = await client.push.subscribe(platform, token, name=name)
    if as_json:
        show_json({"id": told.id, "device": told.device, "platform": told.platform, "token": told.token})
    else:
        print(f"{printable(told.device)} is reached by {told.platform}")


async def unsubscribe(device: Device, name: str, of: str, *, as_json: bool = False) -> None:
    async with asking(device) as client:
        await client.push.unsubscribe(name, device=of)
    show_json({"id": name, "removed": True}) if as_json else print(f"{printable(name)} is removed")
