#![no_main]
vend_fuzz::target!("catalog");
