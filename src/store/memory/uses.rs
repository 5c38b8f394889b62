use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use time::OffsetDateTime;

/// When what was last used.
#[derive(Default)]
pub(super) struct Uses {
    by_id: HashMap<Arc<str>, OffsetDateTime>,
    /// The same the other way round, for what is to be forgotten.
    by_time: BTreeSet<(OffsetDateTime, Arc<str>)>,
}

impl Uses {
    pub(super) fn last(&self, id: &str) -> Option<OffsetDateTime> {
        self.by_id.get(id).copied()
    }

    /// Keeps a use, unless a later one is kept.
    pub(super) fn record(&mut self, id: &str, at: OffsetDateTime) {
        if self.last(id).is_some_and(|before| before >= at) {
            return;
        }
        let id = Arc::<str>::from(id);
        if let Some(before) = self.by_id.insert(id.clone(), at) {
            self.by_time.remove(&(before, id.clone()));
        }
        self.by_time.insert((at, id));
    }

    /// Forgets at most `most` uses of `before` or earlier, and says how many it was.
    pub(super) fn forget(&mut self, before: OffsetDateTime, most: usize) -> usize {
        let mut forgotten = 0;
        while forgotten < most
            && self.by_time.first().is_some_and(|(at, _)| *at <= before)
            && let Some((_, id)) = self.by_time.pop_first()
        {
            self.by_id.remove(&id);
            forgotten += 1;
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{FORGOTTEN_AT_ONCE, MemoryStore, lock},
        *,
    };
    use crate::{ClientRegistry as _, TokenStore as _};

    #[tokio::test]
    async fn a_purge_forgets_uses_of_a_year_ago_and_a_use_clears_away_a_few() {
        let (store, start) = (MemoryStore::default(), OffsetDateTime::UNIX_EPOCH);
        let day = |n| start + time::Duration::days(n);
        let uses: Vec<_> = (0..100).map(|n| (n.to_string(), day(n))).collect();
        store.record_uses(&uses).await.unwrap();
        store.record_uses(&[("0".into(), day(50))]).await.unwrap();
        let last = async |id: &str| store.last_uses(&[id.to_owned()]).await.unwrap()[0];
        assert_eq!(store.purge_expired(day(365 + 20), 15).await.unwrap(), 15);
        assert_eq!(store.purge_expired(day(365 + 20), usize::MAX).await.unwrap(), 5);
        assert_eq!([last("0").await, last("20").await, last("21").await], [Some(day(50)), None, Some(day(21))]);
        assert_eq!(store.purge_expired(day(365 + 20), usize::MAX).await.unwrap(), 0);

        store.record_uses(&[("now".into(), day(1000))]).await.unwrap();
        let left = uses.iter().filter(|(id, _)| lock(&store.0.uses).last(id).is_some());
        assert_eq!(left.count(), 80 - FORGOTTEN_AT_ONCE);
    }
}
