//! A safetensors file: header, offsets and data are all the attacker's.
//!
//! Either the file is refused, or every tensor it lists can be read or is refused: no panic, no read outside the file.
#![no_main]

use elodex_models::weights::WeightStore;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, data).expect("a scratch file");
    let Ok(store) = WeightStore::open_file(&path) else { return };
    for name in store.names() {
        let shape = store.shape(name).expect("a listed tensor has a shape");
        if let Ok(values) = store.tensor(name, shape) {
            assert_eq!(values.len(), shape.iter().product::<usize>());
        }
        // Row numbers come from token ids, so any of them may be asked for.
        for row in [0, 1, usize::MAX] {
            let _ = store.row(name, row);
        }
    }
    let _ = store.digest();
});
