"""Who is there, for those who may see it.

    settings.py     how soon it is told that somebody comes and goes
    notes.py        what the process is told: whose status may be another one, whom to tell everything, who is typing
    appearances.py  how each user is shown, and when that may change: no clock, no store
    activities.py   how fast a device may say that its user is typing
    presence.py     the process, which reads the notes and tells devices

Devices and sessions make notes, and know nothing of the process.
"""
