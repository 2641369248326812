//! What several targets need.

/// Lets a panic inside a library unwind, so that the code under test can catch it; libFuzzer's own hook would end the
/// process first. A panic of ours, and one that nobody catches, is a finding all the same.
pub fn let_libraries_unwind() {
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let ours = panic.location().is_none_or(|place| !place.file().contains("/registry/src/"));
        if ours {
            abort(panic);
        }
    }));
}
