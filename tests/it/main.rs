//! The one integration test binary: the real executable against real repositories.
