//! Where a test can end this process, fail a step or delay it, and faults that are planted so that
//! the tests can be seen to find them.
//!
//! # Flow
//! `point!("git.push.before")` stands before or after a durable or outward step. `VEND_FAULT` in the
//! environment of a process says what happens there; `VEND_PLANTED` names one planted fault.
//!
//! # Guarantees
//! - Without the feature `faults`, which only tests are built with, a point is `Ok(())`, a planted
//!   fault is `false`, and neither the names nor the variables are in the program.
//! - A name that the lists lack does not compile; `tests/it/crash` has every name in use hit or
//!   explained.
//!
//! # Assumptions
//! Pure modules have neither: what is wrong there is planted by feeding them wrongly.

#[cfg(feature = "faults")]
mod active;
#[cfg(feature = "faults")]
mod list;

#[cfg(feature = "faults")]
pub use active::{Fault, hit, is_planted};
#[cfg(feature = "faults")]
pub use list::{PLANTED, POINTS, has};

/// What a step that was told to fail fails of; without the feature there is none.
#[cfg(not(feature = "faults"))]
#[derive(Debug)]
pub enum Fault {}

#[cfg(not(feature = "faults"))]
impl std::fmt::Display for Fault {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

#[cfg(not(feature = "faults"))]
impl std::error::Error for Fault {}

/// Passes a point, unless it was told to fail: `Result<(), Fault>`.
#[cfg(feature = "faults")]
macro_rules! point {
    ($name:literal) => {{
        const _: () = assert!(
            $crate::fault::has($crate::fault::POINTS, $name),
            "a point that is not in the list of `src/fault/list.rs`"
        );
        $crate::fault::hit($name)
    }};
}

/// Passes a point, unless it was told to fail: `Result<(), Fault>`.
#[cfg(not(feature = "faults"))]
macro_rules! point {
    ($name:literal) => {
        Ok::<(), $crate::fault::Fault>(())
    };
}

/// Whether this fault is planted in the process.
#[cfg(feature = "faults")]
macro_rules! planted {
    ($name:literal) => {{
        const _: () = assert!(
            $crate::fault::has($crate::fault::PLANTED, $name),
            "a planted fault that is not in the list of `src/fault/list.rs`"
        );
        $crate::fault::is_planted($name)
    }};
}

/// Whether this fault is planted in the process.
#[cfg(not(feature = "faults"))]
macro_rules! planted {
    ($name:literal) => {
        false
    };
}

pub(crate) use {planted, point};
