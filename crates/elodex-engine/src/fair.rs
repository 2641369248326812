//! Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM 1996).
//!
//! Every active member has a virtual time that grows by the cost of what it was served; the member with the least is
//! next. Whoever becomes active starts at the least virtual time of the others, so neither an idle past earns credit
//! nor a backlog of others delays its first turn. Costs may be corrected after the fact.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Members that take turns in proportion to cost.
#[derive(Debug)]
pub(crate) struct Fair<K> {
    /// By virtual time, then by who reached it first.
    order: BTreeMap<(u64, u64), K>,
    active: HashMap<K, (u64, u64)>,
    /// Virtual times of members that left ahead of the others, so that leaving does not wipe out their debt.
    ahead: HashMap<K, u64>,
    arrivals: u64,
}

impl<K> Default for Fair<K> {
    fn default() -> Self {
        Self { order: BTreeMap::new(), active: HashMap::new(), ahead: HashMap::new(), arrivals: 0 }
    }
}

impl<K: Clone + Eq + Hash> Fair<K> {
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whose turn it is.
    pub(crate) fn next(&self) -> Option<&K> {
        self.order.first_key_value().map(|(_, member)| member)
    }

    /// Makes a member active; nothing changes for one that is.
    pub(crate) fn enter(&mut self, member: &K) {
        if self.active.contains_key(member) {
            return;
        }
        let start = self.ahead.remove(member).unwrap_or(0).max(self.now());
        self.place(member.clone(), start);
    }

    /// Makes a member inactive. Its debt is kept until no member is active.
    pub(crate) fn leave(&mut self, member: &K) {
        let Some(place) = self.active.remove(member) else { return };
        self.order.remove(&place);
        if self.order.is_empty() {
            self.ahead.clear();
            return;
        }
        if place.0 > self.now() {
            self.ahead.insert(member.clone(), place.0);
        }
    }

    /// Makes a member inactive that will not come back.
    pub(crate) fn leave_for_good(&mut self, member: &K) {
        self.leave(member);
        self.ahead.remove(member);
    }

    /// Adds to what a member was served; a negative cost takes back. A member without turn or debt is not charged.
    pub(crate) fn charge(&mut self, member: &K, cost: i64) {
        if let Some(place) = self.active.remove(member) {
            self.order.remove(&place);
            self.place(member.clone(), place.0.saturating_add_signed(cost));
        } else if let Some(time) = self.ahead.get_mut(member) {
            *time = time.saturating_add_signed(cost);
        }
    }

    fn now(&self) -> u64 {
        self.order.first_key_value().map_or(0, |((time, _), _)| *time)
    }

    fn place(&mut self, member: K, time: u64) {
        let place = (time, self.arrivals);
        self.arrivals += 1;
        self.order.insert(place, member.clone());
        self.active.insert(member, place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_newcomer_waits_for_no_backlog_and_brings_no_credit() {
        let mut fair = Fair::default();
        fair.enter(&"busy");
        for _ in 0..100 {
            fair.charge(&"busy", 10);
        }
        fair.enter(&"new");
        fair.charge(&"busy", 10);
        assert_eq!(fair.next(), Some(&"new"));
        fair.charge(&"new", 11);
        assert_eq!(fair.next(), Some(&"busy"), "100 charges of the past must not be paid back");
    }

    #[test]
    fn leaving_does_not_wipe_out_debt() {
        let mut fair = Fair::default();
        fair.enter(&"large");
        fair.enter(&"small");
        fair.charge(&"large", 100);
        fair.leave(&"large");
        fair.enter(&"large");
        for _ in 0..10 {
            assert_eq!(fair.next(), Some(&"small"));
            fair.charge(&"small", 9);
        }
        fair.leave(&"small");
        fair.leave(&"large");
        assert!(fair.is_empty() && fair.ahead.is_empty());
    }

    proptest! {
        #[test]
        fn members_that_stay_are_served_alike(costs in prop::collection::vec(1..50_i64, 30..300), members in 2..6_usize) {
            let mut fair = Fair::default();
            (0..members).for_each(|member| fair.enter(&member));
            let mut served = vec![0; members];
            for cost in costs {
                let member = *fair.next().unwrap();
                fair.charge(&member, cost);
                served[member] += cost;
                let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
                prop_assert!(most - least < 50, "{served:?}");
            }
        }
    }
}
