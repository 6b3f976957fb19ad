"""Which scenarios run while the server crashes, and which of them do not, and why."""

CRASHED = (
    "test_addressees",
    "test_batches",
    "test_blocking",
    "test_commands",
    "test_contacts",
    "test_cursors",
    "test_device_lists",
    "test_devices",
    "test_disappearing",
    "test_friends",
    "test_groups",
    "test_inbox",
    "test_privacy",
    "test_push",
    "test_read_markers",
    "test_receipts",
    "test_receipts_on_request",
    "test_snapshots",
    "test_state_floor",
    "test_state_on_request",
    "test_syncing",
    "test_threads",
    "test_until_acked",
)

FOR_LMDB = "it measures files, which a store in memory has none of"
INSIDE = "it asks the server for something from inside, which nobody asks again"
REMOVED = "a device that is removed is answered with NOT_FOUND when its removal is asked for again"
WHOLE = "it expects the change alone, and a device that comes back is told what changed as a whole"

FRAMES = "it counts the frames that one connection took"
UNCRASHED = {
    "test_a_checkpoint_brings_back_a_copy_that_knows_nothing_but_its_id": INSIDE,
    "test_a_cursor_without_a_device_goes": INSIDE,
    "test_a_clock_that_jumps_erases_nothing": "it says when a clock is believed, which is an hour after a start",
    "test_a_device_that_is_removed_is_closed_and_forgotten": REMOVED,
    "test_by_time_it_is_used_again_as_well": FOR_LMDB,
    "test_ten_times_what_is_kept_is_written_and_the_file_stays_within_twice_its_size": FOR_LMDB,
    "test_what_a_sibling_acknowledged_may_be_read_and_what_was_fetched": WHOLE,
    "test_who_is_removed_while_much_is_on_its_way_gets_what_came_before_and_nothing_else": FRAMES,
    "test_within_the_offline_period_a_removal_is_told_and_later_all_that_is_there": REMOVED,
}
"""By test, the reason."""
