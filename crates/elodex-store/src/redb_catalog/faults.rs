//! What is left after a power cut or a full disk at any moment.

use super::RedbCatalog;
use super::disk::Disk;
use super::opening::{Opened, builder};
use super::script::{Step, snapshot, steps};
use crate::ErrorKind;
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex};

/// What happens at a write.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// From then on the machine is off.
    Cut,
    /// No room, at this one only.
    FullOnce,
    /// No room until it is made.
    Full,
}

#[derive(Debug, Default)]
struct State {
    /// As the system shows it.
    shown: Vec<u8>,
    /// As it lies on the disk.
    synced: Vec<u8>,
    /// Writes since the last `fsync`, in order.
    unsynced: Vec<(usize, Vec<u8>)>,
    /// Calls that change something, so far.
    calls: u64,
    fault: Option<(u64, Fault)>,
    off: bool,
    catalog_made: bool,
}

#[derive(Debug, Clone, Default)]
struct Machine(Arc<Mutex<State>>);

impl Machine {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    fn catalog(&self) -> crate::Result<RedbCatalog> {
        let machine = self.clone();
        let opened = Opened::with(move || Ok(builder(1 << 20).create_with_backend(Disk(machine.clone()))?));
        let opened = opened.map_err(super::Trouble::into_error)?;
        if !self.with(|state| state.catalog_made) {
            opened.initialise().map_err(super::Trouble::into_error)?;
            self.with(|state| state.catalog_made = true);
        }
        RedbCatalog::with(opened)
    }

    /// The machine after the power came back: some of what was not synced reached the disk, chosen by `seed`.
    fn restarted(&self, seed: u64) -> Self {
        let (mut disk, unsynced) = self.with(|state| (state.synced.clone(), state.unsynced.clone()));
        let mut random = seed;
        for (offset, bytes) in unsynced {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if random >> 63 == 1 {
                disk.resize(disk.len().max(offset + bytes.len()), 0);
                disk[offset..offset + bytes.len()].copy_from_slice(&bytes);
            }
        }
        Self(Arc::new(Mutex::new(State {
            shown: disk.clone(),
            synced: disk,
            catalog_made: true,
            ..State::default()
        })))
    }
}

impl State {
    fn changes(&mut self, syncs: bool) -> io::Result<()> {
        self.running()?;
        self.calls += 1;
        let Some((at, fault)) = self.fault else { return Ok(()) };
        match fault {
            Fault::Cut if self.calls >= at => {
                self.off = true;
                self.running()
            }
            Fault::FullOnce if self.calls == at && !syncs => Err(io::ErrorKind::StorageFull.into()),
            Fault::Full if self.calls >= at && !syncs => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn running(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the machine is off")) } else { Ok(()) }
    }
}

impl StorageBackend for Machine {
    fn len(&self) -> io::Result<u64> {
        self.with(|state| state.running().map(|()| state.shown.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|state| {
            state.running()?;
            let from = offset as usize;
            let bytes = state.shown.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(bytes);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.with(|state| {
            state.changes(false)?;
            state.shown.resize(length as usize, 0);
            // Lengths are kept in order with what was synced: the worst is that the file is longer.
            state.synced.resize(length as usize, 0);
            state.unsynced.retain(|(offset, bytes)| offset + bytes.len() <= length as usize);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state| {
            state.changes(true)?;
            state.synced.clone_from(&state.shown);
            state.unsynced.clear();
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|state| {
            state.changes(false)?;
            let from = offset as usize;
            state.shown[from..from + data.len()].copy_from_slice(data);
            state.unsynced.push((from, data.to_vec()));
            Ok(())
        })
    }
}

/// What is seen before the first step and after each, and the calls made until then.
fn undisturbed() -> (Vec<String>, Vec<u64>) {
    let machine = Machine::default();
    let catalog = machine.catalog().unwrap();
    let mut seen = vec![snapshot(&catalog)];
    let mut calls = vec![machine.with(|state| state.calls)];
    for step in steps() {
        step.run(&catalog).unwrap();
        seen.push(snapshot(&catalog));
        calls.push(machine.with(|state| state.calls));
    }
    assert!(catalog.check().unwrap().is_clean());
    (seen, calls)
}

/// Moments to try: all of them are too many for every run of the tests.
fn moments(from: u64, to: u64) -> impl Iterator<Item = u64> {
    let step = ((to - from) / 150).max(1) as usize;
    (from..=to).step_by(step)
}

/// Runs steps until one fails. Returns how many went through, and the failure.
fn run_until_failure(catalog: &RedbCatalog, steps: &[Step]) -> (usize, Option<crate::Error>) {
    for (done, step) in steps.iter().enumerate() {
        if let Err(error) = step.run(catalog) {
            return (done, Some(error));
        }
    }
    (steps.len(), None)
}

#[test]
fn after_a_power_cut_everything_acknowledged_is_there_and_nothing_by_halves() {
    let (seen, calls) = undisturbed();
    let steps = steps();
    // A new file gets its name when it is whole, so it is not cut before.
    for at in moments(calls[0] + 1, *calls.last().unwrap()) {
        let machine = Machine::default();
        let catalog = machine.catalog().unwrap();
        machine.with(|state| state.fault = Some((at, Fault::Cut)));
        let (done, _) = run_until_failure(&catalog, &steps);
        for seed in [at, at + 1_000_000] {
            let restarted = machine.restarted(seed);
            let catalog =
                restarted.catalog().unwrap_or_else(|error| panic!("cut at {at}: {}", error.report()));
            let now = snapshot(&catalog);
            assert!(
                seen[done..=(done + 1).min(steps.len())].contains(&now),
                "cut at {at} in step {done}: it shows\n{now}\nand neither\n{}\nnor what comes after",
                seen[done]
            );
            let report = catalog.check().unwrap();
            assert!(report.is_clean(), "cut at {at} in step {done}: {report:?}");
        }
    }
}

#[test]
fn a_full_disk_refuses_a_step_and_takes_it_when_there_is_room() {
    let (seen, calls) = undisturbed();
    let steps = steps();
    for fault in [Fault::FullOnce, Fault::Full] {
        for at in moments(calls[0] + 1, *calls.last().unwrap()) {
            let machine = Machine::default();
            let catalog = machine.catalog().unwrap();
            machine.with(|state| state.fault = Some((at, fault)));
            let (done, failure) = run_until_failure(&catalog, &steps);
            // What only made things quicker fails without a word.
            let Some(failure) = failure else { continue };
            assert_eq!(
                failure.kind(),
                ErrorKind::Full,
                "{fault:?} at {at} in step {done}: {}",
                failure.report()
            );
            if fault == Fault::Full {
                let again = steps[done].run(&catalog).unwrap_err();
                assert_eq!(
                    again.kind(),
                    ErrorKind::Full,
                    "{fault:?} at {at} in step {done}: {}",
                    again.report()
                );
                machine.with(|state| state.fault = None);
            }
            assert_eq!(snapshot(&catalog), seen[done], "{fault:?} at {at} in step {done}");
            for (step, after) in steps[done..].iter().zip(&seen[done + 1..]) {
                step.run(&catalog).unwrap_or_else(|error| panic!("{fault:?} at {at}: {}", error.report()));
                assert_eq!(&snapshot(&catalog), after, "{fault:?} at {at}");
            }
            assert!(catalog.check().unwrap().is_clean());
        }
    }
}

#[test]
fn a_failed_fsync_is_no_full_disk() {
    let machine = Machine::default();
    let catalog = machine.catalog().unwrap();
    let before = machine.with(|state| state.calls);
    machine.with(|state| state.fault = Some((before + 1, Fault::Cut)));
    let failure = steps()[0].run(&catalog).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Backend, "{}", failure.report());
    // It does not go on with what it cannot trust.
    machine.with(|state| (state.off, state.fault) = (false, None));
    assert!(steps()[0].run(&catalog).is_err());
}
