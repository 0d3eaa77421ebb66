//! The journal's file: what is written is read, and a torn end is not.

use super::*;
use crate::ledger::{CacheState, Call, CallStatus, CountedBy, Who};
use toryo_domain::{CallId, Usd};

fn row(cost: i64) -> LedgerRow {
    LedgerRow {
        id: CallId::generate(),
        at: "2026-03-01T12:00:00.123456Z".parse().unwrap(),
        who: Who::default(),
        tenant: None,
        instance: Some(InstanceId::generate()),
        call: Call {
            run_id: None,
            step_id: None,
            agent: Some("coder".into()),
            route: "coder".into(),
            deployment: "a".into(),
            provider: "openai".into(),
            model: "gpt-4o".into(),
            region: None,
            account: None,
            dialect: "responses".into(),
            input_tokens: 1,
            output_tokens: 2,
            cached_input_tokens: 3,
            cache_write_tokens: 4,
            reasoning_tokens: 5,
            counted_by: CountedBy::Estimate,
            cost: Usd::from_nanos(cost),
            priced_as_of: None,
            latency_ms: 6,
            first_token_ms: Some(7),
            status: CallStatus::Cancelled,
            error_class: None,
            http_status: 499,
            attempts: 8,
            cache: CacheState::Semantic,
            stream: true,
        },
    }
}

#[test]
fn rows_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(folder.path()).unwrap();
    let rows = [row(1), row(i64::MAX), row(3)];
    let first: Vec<_> = rows.iter().map(|row| writer.append(row).unwrap()).collect();
    assert_eq!(first, [true, false, false]);
    writer.close().unwrap();
    writer.append(&row(4)).unwrap();
    let [closed, open] = &files(writer.folder())[..] else { panic!("two files") };
    assert_eq!(read(closed).unwrap(), (rows.to_vec(), false));
    assert_eq!(*open, writer.current());
}

#[test]
fn a_journal_cut_anywhere_gives_the_rows_before_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(folder.path()).unwrap();
    let rows = [row(1), row(2)];
    let mut ends = vec![MARK.len()];
    for row in &rows {
        writer.append(row).unwrap();
        ends.push(writer.len as usize);
    }
    let whole = fs::read(writer.current()).unwrap();
    let cut = folder.path().join("cut");
    for length in 0..whole.len() {
        fs::write(&cut, &whole[..length]).unwrap();
        let whole_rows = ends.iter().filter(|end| **end <= length).count().saturating_sub(1);
        let (read, torn) = read(&cut).unwrap();
        assert_eq!(read, rows[..whole_rows], "cut at {length}");
        assert_eq!(torn, length != 0 && !ends.contains(&length), "cut at {length}");
    }
    // A bit that flipped is seen as well.
    let mut damaged = whole.clone();
    let last = damaged.len() - 3;
    damaged[last] ^= 1;
    fs::write(&cut, &damaged).unwrap();
    assert_eq!(read(&cut).unwrap(), (rows[..1].to_vec(), true));
    fs::write(&cut, b"toryoL9\nwhatever").unwrap();
    assert!(read(&cut).is_err(), "another version is not guessed at");
}

#[test]
fn a_journal_is_left_to_others_when_its_process_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(folder.path()).unwrap();
    let (instance, other) = (InstanceId::generate(), InstanceId::generate());
    writer.append(&row(1)).unwrap();
    writer.note(instance).unwrap();
    writer.note(other).unwrap();
    assert!(left(folder.path()).is_empty(), "its process lives");
    drop(writer);
    let mut all = left(folder.path());
    let found = all.pop().unwrap();
    assert_eq!(found.instances(), [instance, other]);
    assert_eq!(files(&found.folder).len(), 1);
    assert!(left(folder.path()).is_empty(), "one reader at a time");
    found.remove();
    assert!(left(folder.path()).is_empty());
}
