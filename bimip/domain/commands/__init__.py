"""What people do to what is there already: edit, delete, react, pin, archive, mute, draft …

command.py         the operation: deduplication, the stamp that counts, the ledger of what lost, the table of rules
target.py          which message a command is about, and whether it is its author's to change
messages.py        edit, delete, react, pin, forward: what becomes of one message
conversations.py   archive, pin, mute, draft, mark unread: how a user keeps a conversation
"""
