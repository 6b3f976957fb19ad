from bimip.wire.limits import Limits


def test_the_client_is_told_every_limit_that_hello_has_room_for() -> None:
    told = Limits().to_proto()
    expected = {field.name: getattr(Limits(), field.name) for field in told.DESCRIPTOR.fields}

    assert expected == {field.name: value for field, value in told.ListFields()}


def test_a_window_bounds_what_is_held() -> None:
    assert Limits(window_entries=7).max_held == 7
