"""Gossip: devices of one user give each other what one of them lacks (the extra `bimip[gossip]`).

    gossip.py   what a client says to its siblings, takes and gives
    rtc.py      a data channel of WebRTC, in a thread with a loop of its own

What is given, and how it is checked, stands in core/giving.py.
"""
