//! A broker that gets no time to run, in whatever moment of a write.

use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Instant;

use davy_coordinator::catalog::kafka::KafkaCatalog;
use davy_coordinator::catalog::{Catalog, CatalogError};
use davy_proto::domain::Epoch;

use super::kafka::catalog;
use super::{PATIENCE, ceiling, leads};
use davy_testkit::broker::{Broker, unique};

#[test]
fn a_broker_that_pauses_costs_time_and_no_record() {
    const N_SHORT: usize = 8;
    let mut broker = Broker::start("paused", 1);
    let servers = broker.servers.clone();
    let cluster = unique("paused");
    let (sender, numbers) = mpsc::sync_channel(1);
    let last = thread::scope(|scope| {
        let writes = scope.spawn(|| write_on(&mut catalog(&servers, &cluster), &sender));
        let until = |what: &str, is_it: fn(bool) -> bool| {
            while !is_it(numbers.recv_timeout(PATIENCE).expect(what)) {}
        };
        for _ in 0..N_SHORT {
            until("a record is written before a pause", |is_done| is_done);
            let node = broker.pause();
            broker.resume(&node);
        }
        let node = broker.pause();
        until("a write fails", |is_done| !is_done);
        broker.resume(&node);
        until("a record is written after a long pause", |is_done| is_done);
        drop(numbers);
        writes.join().expect("no panic")
    });
    assert_eq!(leads(&mut catalog(&servers, &cluster)).ceiling, last);
    let node = broker.pause();
    let error = catalog(&servers, &cluster).lead(&|| false).expect_err("no answer");
    broker.resume(&node);
    assert!(matches!(&error, CatalogError::Unavailable(why) if why.contains(&servers)), "{error}");
}

/// Writes one number after the other and reports those that were written, as long as the test listens; returns the last one.
fn write_on(catalog: &mut KafkaCatalog, sender: &SyncSender<bool>) -> Epoch {
    let mut done = leads(catalog).ceiling;
    for number in 1.. {
        let written = catalog.write(&[ceiling(number)]);
        // Before leading again, which may need what the listener does then.
        let is_over = sender.send(written.is_ok()).is_err();
        match written {
            Ok(()) => done = Epoch(number),
            Err(CatalogError::Unavailable(_)) => {}
            Err(CatalogError::Fenced(why)) => {
                let found = leads_again(catalog);
                assert!((done..=Epoch(number)).contains(&found), "{done}, {number}, {found}: {why}");
                done = found;
            }
            Err(error @ CatalogError::Corrupt(_)) => panic!("{error}"),
        }
        if is_over {
            break;
        }
    }
    done
}

/// As often as it takes while the broker is away.
fn leads_again(catalog: &mut KafkaCatalog) -> Epoch {
    let begun = Instant::now();
    loop {
        match catalog.lead(&|| PATIENCE < begun.elapsed()) {
            Ok(found) => return found.expect("the broker comes back").ceiling,
            Err(CatalogError::Unavailable(_)) if begun.elapsed() < PATIENCE => {}
            Err(error) => panic!("{error}"),
        }
    }
}
