from bimip.domain.accounts.belongings import BELONGINGS, DEVICE_TABLES, OWN_TABLES, Whose
from bimip.domain.core.records import Index, LogTable, Table
from bimip.domain.core.schema import NUMBER


def test_each_table_of_the_schema_says_what_of_it_belongs_to_a_user() -> None:
    assert set(BELONGINGS) == {*Table, *LogTable, *Index}


def test_each_says_what_is_exported_or_why_nothing_is() -> None:
    assert [kind for kind, row in BELONGINGS.items() if bool(row.exported) == bool(row.left_out)] == []


def test_what_goes_by_a_number_has_keys_that_begin_with_one() -> None:
    by_number = [kind for kind, row in BELONGINGS.items() if row.whose in {Whose.OWN, Whose.DEVICE}]

    assert {kind.schema.key[0] for kind in by_number} == {NUMBER}


def test_all_that_is_a_users_own_goes() -> None:
    own = {kind for kind, row in BELONGINGS.items() if row.whose is Whose.OWN and isinstance(kind, Table)}
    of_devices = {kind for kind, row in BELONGINGS.items() if row.whose is Whose.DEVICE}

    assert {*OWN_TABLES} == own - {Table.LOGS}  # which goes with its entries
    assert {*DEVICE_TABLES} == of_devices - {Table.DEVICE_OWNERS}  # which goes last
