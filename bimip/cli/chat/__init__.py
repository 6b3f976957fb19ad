"""`bimip chat`: a full-screen client for a terminal.

What can go wrong, and what is shown, is decided without a terminal; the widgets draw it. From the inside out:

    text.py       what is shown of text that others wrote: it can neither move the cursor nor style anything
    emoji.py      reactions by their short names
    saved.py      what its file has for the screen alone: drafts as they are typed, and what was refused
    muting.py     for how long a conversation is muted
    model.py      conversations and their messages, as events change them. Pure
    layout.py     messages and rows as lines of styled text, at a width
    session.py    the SDK's client: it fills the model, and does what is asked for
    messages.py, rows.py, composer.py, status.py, dialogs.py
                  the widgets: the open conversation, the list of conversations, where one writes, the line that says
                  whether there is a connection, and what is asked for in front of them
    app.py        keys, and what they do; run.py: from the command to the end

Textual runs on asyncio, and so does the SDK here. The client's file has all that counts (what was taken, what was
written, what is being written): a process that is killed loses what was typed in the last moment, and no more.
Only what is visible is drawn, and only what was scrolled to is laid out.
"""
