//! Where tokens and secrets get their randomness.

use std::{cell::RefCell, fmt, sync::Arc};

use forkguard::Guard;
use rand::{
    Rng as _, SeedableRng as _, TryRng as _,
    rngs::{StdRng, SysRng},
};

use crate::BackendError;

/// Fills a slice with bytes that nobody can guess.
///
/// The default is the operating system's generator, for secrets and keys. Issuers, which need some at each request, take
/// [`RandomSource::seeded`] unless they are given another. A test that needs the same token twice makes its own with
/// [`RandomSource::from_fn`]; anything else that does so gives its tokens away.
#[derive(Clone)]
pub struct RandomSource(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) -> Result<(), BackendError> + Send + Sync;

impl RandomSource {
    /// A generator for each thread (ChaCha with 12 rounds, from `rand`), seeded by the operating system: at its first use,
    /// again after each 64 KiB, and in a child after `fork`, which `pthread_atfork` tells, so that it does not repeat its
    /// parent's tokens.
    ///
    /// It spares a system call for each token. Two copies of a virtual machine that were restored from one snapshot would
    /// give the same bytes until they are seeded again: where that can happen while tokens are issued, give the issuer
    /// `RandomSource::default()` instead.
    #[must_use]
    pub fn seeded() -> Self {
        Self::from_fn(|bytes| GENERATOR.with_borrow_mut(|generator| Generator::fill(generator, bytes)))
    }

    /// Takes the bytes from `fill`, which must fill the whole slice or fail.
    pub fn from_fn(fill: impl Fn(&mut [u8]) -> Result<(), BackendError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// Fills `bytes` from this source.
    ///
    /// # Errors
    /// When the source cannot give them, which a token request answers with 503.
    pub fn fill(&self, bytes: &mut [u8]) -> Result<(), BackendError> {
        (self.0)(bytes)
    }
}

impl Default for RandomSource {
    fn default() -> Self {
        Self::from_fn(|bytes| SysRng.try_fill_bytes(bytes).map_err(BackendError::new))
    }
}

impl fmt::Debug for RandomSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RandomSource")
    }
}

thread_local!(static GENERATOR: RefCell<Option<Generator>> = const { RefCell::new(None) });

/// How many bytes a generator gives from one seed.
const BYTES_PER_SEED: usize = 64 * 1024;

struct Generator {
    rng: StdRng,
    bytes_left: usize,
    fork: Guard,
}

impl Generator {
    fn fill(generator: &mut Option<Self>, bytes: &mut [u8]) -> Result<(), BackendError> {
        let usable = |g: &mut Self| !g.fork.detected_fork() && g.bytes_left >= bytes.len();
        if !generator.as_mut().is_some_and(usable) {
            // Gone before a seed is asked for: where there is none to be had, the next call must not find it again.
            *generator = None;
            let rng = StdRng::try_from_rng(&mut SysRng).map_err(BackendError::new)?;
            let fork = Guard::try_new().map_err(BackendError::new)?;
            *generator = Some(Self { rng, bytes_left: BYTES_PER_SEED.max(bytes.len()), fork });
        }
        if let Some(generator) = generator {
            generator.rng.fill_bytes(bytes);
            generator.bytes_left -= bytes.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    fn take(random: &RandomSource) -> [u8; 32] {
        let mut bytes = [0; 32];
        random.fill(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn nothing_is_given_twice() {
        for random in [RandomSource::default(), RandomSource::seeded()] {
            let seen: HashSet<_> = (0..10_000).map(|_| take(&random)).collect();
            assert_eq!(seen.len(), 10_000);
            let there = random.clone();
            assert_ne!(thread::spawn(move || take(&there)).join().unwrap(), take(&random));
        }
    }

    #[test]
    fn a_generator_is_seeded_again() {
        let fork = Guard::default();
        let known = || Some(Generator { rng: StdRng::from_seed([7; 32]), bytes_left: 32, fork: fork.clone() });
        let next = |generator: &mut Option<Generator>| {
            let mut bytes = [0; 32];
            Generator::fill(generator, &mut bytes).unwrap();
            bytes
        };
        let (mut one, mut other) = (known(), known());
        assert_eq!(next(&mut one), next(&mut other), "one seed");
        assert_ne!(next(&mut one), next(&mut other), "each has used its seed up");

        let mut large = vec![0; BYTES_PER_SEED + 1];
        assert!(Generator::fill(&mut known(), &mut large).is_ok() && large.iter().any(|b| *b != 0));
    }
}
