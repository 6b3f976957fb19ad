"""The command line. Each command is a thin function in `commands/`; start there.

* `commands/`       what can be typed, and what each word means: a file a noun, put together in its `__init__.py`
* `failures.py`     one line for what went wrong, and the exit codes
* `settings.py`     which settings a command works with
* `serve.py`        the server, `demo.py` what the demonstration needs, `logs.py` how it logs, `log_lines.py` to where
* `output.py`       what is printed, or lost where it cannot be
* `tokens.py`       signing a device's token
* `devices.py`      `send` and `listen`: being a device, over the SDK
* `groups.py`, `contacts.py`, `feeds.py`, `changes.py`, `state.py`, `status.py`, `location.py`, `push.py`
                    what a device asks for, each as its words are called
* `store.py`        `check`, `stats`, `backup`, `restore`, `migrate`, `copy` …: the store on the disk, or in a database
* `operate.py`, `top.py`    asking a running server's console
* `show_tree.py`, `show_events.py`, `words.py`    what is printed, as pure functions

What comes from other people (a message, a name, a crash) is shown with its control characters escaped, so that it
cannot write to the terminal anything but text.
"""
