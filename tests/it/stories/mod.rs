//! Stories of one change each, told through the real executable against real repositories. Each
//! ends with "again: nothing to do".

mod change;
mod configuration;
mod moving;
