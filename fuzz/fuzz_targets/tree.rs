#![no_main]
vend_fuzz::target!("tree");
