//! Whose job is next: each lane has a queue of its own, and they take turns.

use std::collections::{HashMap, VecDeque};

/// Each lane has at most this part of the room, so that others find some.
const SHARES: usize = 8;

/// What waits, by lane.
pub(super) struct Turns<J> {
    most: usize,
    len: usize,
    queues: HashMap<Box<str>, VecDeque<J>>,
    /// Every lane in which something waits, once.
    turns: VecDeque<Box<str>>,
}

impl<J> Turns<J> {
    /// With room for so many.
    pub(super) fn new(most: usize) -> Self {
        Self { most, len: 0, queues: HashMap::new(), turns: VecDeque::new() }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_full(&self) -> bool {
        self.len >= self.most
    }

    /// Whether a lane has its share already.
    pub(super) fn is_lane_full(&self, lane: &str) -> bool {
        self.queues.get(lane).map_or(0, VecDeque::len) >= self.most.div_ceil(SHARES)
    }

    /// Whether half of the room is left, or more.
    pub(super) const fn is_half_empty(&self) -> bool {
        self.len <= self.most / 2
    }

    pub(super) fn push(&mut self, lane: &str, job: J) {
        self.len += 1;
        if let Some(queue) = self.queues.get_mut(lane) {
            queue.push_back(job);
        } else {
            self.queues.insert(lane.into(), VecDeque::from([job]));
            self.turns.push_back(lane.into());
        }
    }

    /// Takes out the oldest of the lane whose turn it is.
    pub(super) fn pop(&mut self) -> Option<J> {
        let lane = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&lane)?;
        let job = queue.pop_front()?;
        self.len -= 1;
        if queue.is_empty() {
            self.queues.remove(&lane);
        } else {
            self.turns.push_back(lane);
        }
        Some(job)
    }

    /// Takes one out of a lane, if it still waits.
    pub(super) fn remove(&mut self, lane: &str, is_it: impl FnMut(&J) -> bool) -> Option<J> {
        let queue = self.queues.get_mut(lane)?;
        let at = queue.iter().position(is_it)?;
        let job = queue.remove(at)?;
        self.len -= 1;
        if queue.is_empty() {
            self.queues.remove(lane);
            self.turns.retain(|other| **other != *lane);
        }
        Some(job)
    }

    /// Whether nothing is left of what was in it.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0 && self.queues.is_empty() && self.turns.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_has_an_eighth_and_one_place_in_the_round() {
        let mut turns = Turns::new(17);
        for (lane, job) in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("b", 6)] {
            assert!(!turns.is_full() && !turns.is_lane_full(lane), "{job}");
            turns.push(lane, job);
        }
        assert!(turns.is_lane_full("a") && !turns.is_lane_full("b"), "an eighth of 17 are three");
        assert_eq!((turns.remove("c", |job| *job == 4), turns.remove("d", |_| true)), (None, None));
        assert_eq!(turns.remove("c", |job| *job == 5), Some(5));
        assert_eq!(turns.len(), 5);
        assert_eq!(std::iter::from_fn(|| turns.pop()).collect::<Vec<_>>(), [1, 4, 2, 6, 3]);
        assert!(turns.is_empty() && !turns.is_lane_full("a"));
    }

    #[test]
    fn all_lanes_together_have_what_there_is() {
        let mut turns = Turns::new(3);
        for lane in ["a", "b", "c"] {
            assert!(!turns.is_full() && !turns.is_lane_full(lane));
            turns.push(lane, ());
            assert!(turns.is_lane_full(lane), "one at least, and an eighth of three is less");
        }
        assert!(turns.is_full() && !turns.is_lane_full("d") && !turns.is_half_empty());
    }
}
