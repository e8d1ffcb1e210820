//! The runtime Raft runs on: tokio, with random numbers that can be repeated.
//!
//! Raft draws random numbers for one thing, how long to wait before standing for election. Each thread has
//! its own generator, so that nothing is shared; all of them descend from one root that [`seed`] sets. A
//! simulation runs on one thread and seeds it once per node: the same seeds give the same elections.
//!
//! Caveat: the numbers are good enough to avoid split votes and for nothing else.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openraft::impls::TokioRuntime as Tokio;
use openraft::{AsyncRuntime, OptionalSend};
use rand_core::TryRng;

/// The fractional part of the golden ratio: the step of the SplitMix64 generator.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

static ROOT: AtomicU64 = AtomicU64::new(GOLDEN);

thread_local! {
    static STATE: Cell<u64> = Cell::new(mix(ROOT.fetch_add(GOLDEN, Ordering::Relaxed)));
}

/// Stirs `bits` into the generator of this thread and of the threads that begin later.
pub(super) fn seed(bits: u64) {
    ROOT.fetch_xor(mix(bits), Ordering::Relaxed);
    STATE.set(mix(STATE.get() ^ bits));
}

/// The output function of SplitMix64 (Steele, Lea and Flood, 2014).
const fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Draws from the generator of this thread.
#[derive(Debug)]
pub(super) struct ThreadRng;

impl TryRng for ThreadRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.try_next_u64()? >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let state = STATE.get().wrapping_add(GOLDEN);
        STATE.set(state);
        Ok(mix(state))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

/// Tokio with [`ThreadRng`].
#[derive(Debug)]
pub(super) struct Runtime(Tokio);

impl AsyncRuntime for Runtime {
    type JoinError = <Tokio as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <Tokio as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <Tokio as AsyncRuntime>::Sleep;
    type Instant = <Tokio as AsyncRuntime>::Instant;
    type TimeoutError = <Tokio as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <Tokio as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = ThreadRng;
    type Mpsc = <Tokio as AsyncRuntime>::Mpsc;
    type Watch = <Tokio as AsyncRuntime>::Watch;
    type Oneshot = <Tokio as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <Tokio as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        Tokio::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        Tokio::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        Tokio::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        Tokio::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        Tokio::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        Tokio::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        ThreadRng
    }

    fn new(threads: usize) -> Self {
        Self(Tokio::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(bits: u64) -> Vec<u64> {
        STATE.set(0);
        seed(bits);
        (0..8).map(|_| ThreadRng.try_next_u64().expect("it cannot fail")).collect()
    }

    #[test]
    fn the_same_seed_repeats_and_another_does_not() {
        assert_eq!(draw(42), draw(42));
        assert_ne!(draw(42), draw(43));
    }
}
