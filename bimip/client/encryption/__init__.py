"""End-to-end encryption: only the devices of those who write with each other read it (the extra bimip[e2ee]).

Each device encrypts for each other one, by the Double Ratchet of Matrix's Olm (vodozemac), and the server has nothing
but ciphertext: PROTOCOL.md, "End-to-end encryption", says it for clients in any language.

    olm.py         vodozemac in bytes: an account, sessions, signatures
    encryption.py  what is decided: sealing and opening messages, whose keys are trusted. No I/O but the store's
    sealer.py      what is asked of the server for that: publishing keys, learning and claiming those of others

A step of a ratchet and what it made are one commit. What is to be sent goes into the outbox encrypted, in the
transaction that steps the sessions, and is sent again as it is. What arrived is kept as it was decrypted, in the
transaction that steps the session, until the program has taken it. So whoever is killed when, no key is used for two
texts, and what comes again is read.
"""
