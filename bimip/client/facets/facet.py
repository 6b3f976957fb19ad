from bimip.client.connector import Connector
from bimip.client.core.device import Device
from bimip.client.environment import Environment


class Facet:
    """The base of all that a client consists of: it has at hand what they share."""

    def __init__(self, device: Device, connector: Connector, environment: Environment) -> None:
        self._device = device
        self._connector = connector
        self._environment = environment
