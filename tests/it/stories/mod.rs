//! Stories of one change each, told through the real executable against real repositories. Each
//! ends with "again: nothing to do".

mod approval;
mod change;
mod command;
mod configuration;
mod delete;
mod drift;
mod moving;
mod output;
mod portion;
mod publish;
mod rebuild;
mod reference;
mod rename;
mod rollout;
mod rule;
mod source;
mod takeover;
mod template;
mod waves;
