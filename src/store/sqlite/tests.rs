//! What SQLite brings of its own: files, versions, damage.

use super::*;
use crate::store::contract::contract;

#[test]
fn keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    contract(|| {
        number.set(number.get() + 1);
        let path = folder.path().join(format!("{}.db", number.get()));
        Box::new(Sqlite::open(&path).unwrap())
    });
}
