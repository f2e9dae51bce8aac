//! The one integration test binary: the real executable against real repositories.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod action;
mod authoring;
mod aws;
mod backend;
mod book;
mod canary;
mod catalog;
mod children;
mod cli;
mod confined;
mod crash;
mod daemon;
mod demo;
mod deploy;
mod diagnostics;
mod editor;
mod forge;
mod fuzz;
mod github;
mod hostile;
mod import;
mod init;
mod isolation;
mod lacking;
mod layering;
mod manual;
mod model;
mod observe;
mod pages;
mod promises;
mod pull;
mod readme;
mod remote;
mod replicas;
mod review;
mod samples;
mod stacks;
mod stories;
mod world;
