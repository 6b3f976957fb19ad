"""The REST API, below `/api/v1` of the public port: floor 4, beside the gateway's WebSocket, on the same `requests`.

* `application.py`  the application; what is asked for where
"""

from bimip.api.application import make_application

__all__ = ["make_application"]
