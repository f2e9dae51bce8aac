//! The readers of `tests/it/fuzz`, for libFuzzer.

#[allow(dead_code, unused_imports)]
#[path = "../../tests/it/fuzz/mod.rs"]
mod fuzz;
#[allow(dead_code, unused_imports)]
#[path = "../../tests/it/pull/mod.rs"]
mod pull;

pub use fuzz::bodies::named;
pub use libfuzzer_sys;

/// The entry of libFuzzer for the reader of that name.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::named($name)(data));
    };
}
