//! What this process has just written and is to be found by its meaning soon.

use std::collections::BTreeMap;

use memory_core::retrieve::Found;

use crate::limits::LIVE_THINGS_MAX;

/// A bounded queue without duplicates. A thing stays in it until its vectors are put.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// Each with the number of its last write.
    waiting: BTreeMap<Found, u64>,
    writes: u64,
}

impl Live {
    /// A thing was written. Where there is no room for it, it is found by the change log.
    pub(crate) fn written(&mut self, found: Found) {
        self.writes += 1;
        if self.waiting.len() < LIVE_THINGS_MAX || self.waiting.contains_key(&found) {
            self.waiting.insert(found, self.writes);
        }
    }

    /// Some of the things, each with the number of its last write.
    pub(crate) fn some(&self, max: usize) -> Vec<(Found, u64)> {
        self.waiting.iter().take(max).map(|(found, write)| (*found, *write)).collect()
    }

    /// Things have their vectors; those that were written again meanwhile stay.
    pub(crate) fn done(&mut self, things: &[(Found, u64)]) {
        for (found, write) in things {
            if self.waiting.get(found) == Some(write) {
                self.waiting.remove(found);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use memory_core::id::NoteId;
    use uuid::Uuid;

    use super::*;

    fn note(id: u128) -> Found {
        Found::Note(NoteId(Uuid::from_u128(id)))
    }

    #[test]
    fn what_is_written_again_while_it_is_in_hand_stays() {
        let mut live = Live::default();
        live.written(note(1));
        live.written(note(1));
        live.written(note(2));
        let in_hand = live.some(9);
        assert_eq!(in_hand.len(), 2, "duplicates are one");
        live.written(note(2));
        live.done(&in_hand);
        assert_eq!(live.some(9).iter().map(|(found, _)| *found).collect::<Vec<_>>(), [note(2)]);
    }

    #[test]
    fn it_is_bounded() {
        let mut live = Live::default();
        (0..2 * LIVE_THINGS_MAX as u128).for_each(|id| live.written(note(id)));
        assert_eq!(live.len(), LIVE_THINGS_MAX);
    }
}
