"""Programs to begin with, each a file that runs as it stands: `python -m bimip.client.examples.bot`.

They take the server from BIMIP_URL (ws://localhost:8470) and the token from BIMIP_TOKEN. The project's tests run them.

    bot.py           answers what it is asked, in 20 lines
    two_devices.py   two devices of one user: what one writes while the other is away is on both
    echo.py          a service under systemd, which answers each message once, whatever is killed when
    back_end.py      a web back end: it has no connection, and speaks HTTP
    importing.py     brings 100,000 messages from elsewhere, and may be killed and run again
"""
