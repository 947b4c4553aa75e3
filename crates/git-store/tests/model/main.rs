//! A small model of pushes, compaction, garbage collection, readers and crashes, explored in all its states.
//!
//! The model has the rules of `push.rs` and `compact/` and nothing of their code: data first, pointer last; the swap
//! needs the generation that was read; an epoch later a push looks again for what it needs; garbage is dropped only
//! under the very generation that was looked at; what was replaced is deleted only when no read can want it. Leaving out
//! any one of these rules must break an invariant: then the rule is needed, and the model would show it.

#![allow(clippy::unwrap_used)]

mod explore;
mod world;

use explore::explore;
use world::{Invariant, Rules};

#[test]
fn no_state_that_can_be_reached_breaks_an_invariant() {
    let seen = explore(Rules::all()).unwrap_or_else(|broken| panic!("{broken}"));
    assert!(seen > 3_000, "a model of {seen} states shows little");
}

/// The invariant that falls when a rule is left out.
fn breaks(leave_out: impl Fn(&mut Rules), expected: Invariant) {
    let mut rules = Rules::all();
    leave_out(&mut rules);
    let broken = explore(rules).expect_err("nothing breaks without the rule: the model does not need it");
    assert_eq!(broken.invariant, expected, "{broken}");
}

#[test]
fn without_data_before_the_pointer_a_live_pack_is_missing() {
    breaks(|rules| rules.data_first = false, Invariant::LivePacksAreStored);
}

#[test]
fn without_compare_and_swap_an_acknowledged_push_is_lost() {
    breaks(|rules| rules.compare_and_swap = false, Invariant::AcknowledgedIsThere);
}

#[test]
fn without_an_acknowledgement_last_a_push_is_lost() {
    breaks(|rules| rules.acknowledge_last = false, Invariant::AcknowledgedIsThere);
}

#[test]
fn without_looking_again_in_a_later_epoch_a_ref_names_what_is_gone() {
    breaks(|rules| rules.look_again = false, Invariant::RefsAreConnected);
}

#[test]
fn without_the_same_generation_garbage_collection_takes_what_a_push_brought_back() {
    breaks(|rules| rules.drop_needs_generation = false, Invariant::RefsAreConnected);
}

#[test]
fn without_waiting_a_reader_loses_its_pack() {
    breaks(|rules| rules.wait_for_readers = false, Invariant::ReadersFindTheirPacks);
}
