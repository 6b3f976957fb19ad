import pytest

from bimip.client.errors import InvalidArgument
from tests.client.support import a_connected_client, run


@pytest.mark.parametrize(("partition", "offsets"), [("other", [1]), ("chat", [0]), ("chat", ["x"]), ("chat", [2**63])])
def test_what_cannot_be_acknowledged(partition: str, offsets: list[int]) -> None:
    async def scenario() -> None:
        async with a_connected_client() as client:
            with pytest.raises(InvalidArgument):
                client.acknowledge(partition, offsets)
            with pytest.raises(InvalidArgument):
                client.messages.receipts("c1", "x")  # type: ignore[arg-type]

    run(scenario)
