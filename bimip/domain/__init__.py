"""Floor 0, pure: the rules of messaging, as functions over values.

Nothing here waits, reads a clock, draws a random number or knows how a byte is laid out; but keys of state are packed
here, so that whatever carries them knows no kind of state (state/changes.py).

A folder for each noun (messages, delivery, state, conversations, accounts), `core/` for what all rules are made of, and
`decisions.py`: the door from an operation to its decision.
"""
