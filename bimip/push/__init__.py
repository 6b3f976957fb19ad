"""Floor 3: the process that tells devices which are not connected what waits for them, by gateways that reach them.

settings.py     gateways, keys, and what is pushed how
subscribers.py  who has subscriptions, and at whom is to be looked: outlives the process
process.py      looks at users, and sends what they are owed; what that is says `domain/push/outbox.py`
rings.py        calls that ring, and at which subscriptions that was told: outlives the process, too
lanes.py        the lines in which subscriptions wait: one slow gateway holds nobody else up
breaker.py      leaves a gateway alone that fails again and again
notifications.py  what a notification says, as an object of JSON
gateways.py     which there are; webhook.py and webpush.py, the two forms in which that is sent; vapid.py, the key
trial.py        one notification by an operator's hand
posting.py      requests, and what their answers mean; http.py sends them, to addresses that were judged
"""
