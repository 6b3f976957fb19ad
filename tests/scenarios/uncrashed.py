"""Which scenarios run while the server crashes, and which of them do not, and why."""

CRASHED = (
    "test_addressees",
    "test_batches",
    "test_blocking",
    "test_calls",
    "test_commands",
    "test_contacts",
    "test_cursors",
    "test_device_lists",
    "test_devices",
    "test_disappearing",
    "test_feeds",
    "test_friends",
    "test_groups",
    "test_inbox",
    "test_locations",
    "test_presence",
    "test_privacy",
    "test_programs_see_each_other",
    "test_push",
    "test_push_of_calls",
    "test_read_markers",
    "test_receipts",
    "test_receipts_on_request",
    "test_resume",
    "test_snapshots",
    "test_state_floor",
    "test_state_on_request",
    "test_syncing",
    "test_threads",
    "test_until_acked",
    "test_who_sees_what",
)

ONE_OF = {
    "test_calls": 3,
    "test_presence": 2,
    "test_programs_see_each_other": 2,
    "test_push_of_calls": 2,
    "test_who_sees_what": 32,
}
"""By file, of how many values of its parameters one is run while the server crashes."""

FOR_LMDB = "it measures files, which a store in memory has none of"
INSIDE = "it asks the server for something from inside, which nobody asks again"
REMOVED = "a device that is removed is answered with NOT_FOUND when its removal is asked for again"
WHOLE = "it expects the change alone, and a device that comes back is told what changed as a whole"

FAULTY = "its store fails as it is told to, and only one in memory can lose its power"
ONCE = "what somebody does is told to who is connected just then, and is not told again"
OWN = "of two devices that come back the first is alone, and knows by `intent` how its user is: it is not told"
ASKS_ONCE = "a program that is cut off while it asks is told so, and this one does not ask again"
REPEATS = "a client that comes back says again where it is, or what it does, and here each word counts"
SHOWN_ONCE = "it counts what comes again, which a client that comes back does not show again"
MANY = "its 700 users would all come back, each time"
UNPLACED = "who comes back is told of a share when there is a position, and here there is none"
FRAMES = "it counts the frames that one connection took"
UNCRASHED = {
    "test_a_checkpoint_brings_back_a_copy_that_knows_nothing_but_its_id": INSIDE,
    "test_a_conversation_that_is_opened_comes_first": "it says what comes first of one that is opened once",
    "test_a_cursor_without_a_device_goes": INSIDE,
    "test_a_clock_that_jumps_erases_nothing": "it says when a clock is believed, which is an hour after a start",
    "test_a_device_that_takes_nothing_costs_what_it_costs_and_has_all_when_it_does": MANY,
    "test_a_device_that_was_alone_learns_how_its_user_is_when_another_one_comes": OWN,
    "test_an_intent_is_the_users_and_reaches_contacts_and_the_users_other_devices": OWN,
    "test_a_process_that_dies_forgets_positions_and_no_shares": REPEATS,
    "test_a_signal_means_the_awareness_of_its_name": ONCE,
    "test_a_device_that_is_removed_is_closed_and_forgotten": REMOVED,
    "test_a_share_that_ends_after_its_process_died_is_told_to_be_over": UNPLACED,
    "test_by_time_it_is_used_again_as_well": FOR_LMDB,
    "test_ten_times_what_is_kept_is_written_and_the_file_stays_within_twice_its_size": FOR_LMDB,
    "test_an_intent_is_on_all_devices_of_the_user": ASKS_ONCE,
    "test_contacts_come_say_how_they_are_type_and_go": ASKS_ONCE,
    "test_of_too_much_typing_the_last_word_comes_later": REPEATS,
    "test_one_asks_how_somebody_is": "after a crash it may be some minutes early when somebody was last there",
    "test_the_peer_is_told_and_a_stranger_is_refused_like_no_conversation": ONCE,
    "test_what_is_damaged_of_one_user_keeps_nothing_from_the_others": FAULTY,
    "test_what_is_not_acknowledged_comes_again_in_turn_and_delivery_does_not_wait_for_ever": SHOWN_ONCE,
    "test_when_the_users_end_all_are_seen_anew": "who went before a crash is not named after it, and is not there",
    "test_while_the_disk_fails_presence_says_what_it_last_knew_and_then_what_is_so": FAULTY,
    "test_what_a_sibling_acknowledged_may_be_read_and_what_was_fetched": WHOLE,
    "test_who_is_removed_while_much_is_on_its_way_gets_what_came_before_and_nothing_else": FRAMES,
    "test_within_the_offline_period_a_removal_is_told_and_later_all_that_is_there": REMOVED,
}
"""By test, the reason."""
