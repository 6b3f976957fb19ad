"""Floor 3: the users, their sessions and devices, and what is delivered to them.

    frame -- reader -- requests -- answers (messages: `prepare`, `appends`), acking (acknowledgements) -- the queue
    commit -- registry -- session -- tail -- device (`send_some`) -- batches -- frame

What is written goes down on the first line: a reader hands each frame to `requests`, which makes operations of it. All
messages to one recipient that arrive together are one operation, in whatever frames they come, and an acknowledgement
that is not decided yet takes in the next. What was committed comes up on the second: the registry tells the sessions
concerned, whose tails keep the newest entries as segments of bytes, and their devices send. `fetcher` is the task that
goes on where sending stopped; `fetching` is what a device asks for by itself, `hello` its Hello.
"""
