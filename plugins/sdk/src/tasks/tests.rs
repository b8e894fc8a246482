use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::*;

fn tasks() -> Tasks {
    Tasks::new(CancellationToken::new())
}

#[tokio::test(start_paused = true)]
async fn work_of_a_period_survives_its_panics_and_ends_at_the_stop() {
    let (tasks, (sender, mut receiver)) = (tasks(), mpsc::unbounded_channel());
    let began = tokio::time::Instant::now();
    tasks.every("test", Duration::from_secs(10), move || {
        let _ = sender.send(began.elapsed().as_secs());
        async { panic!("on purpose") }
    });
    for expected in [0, 10, 20] {
        assert_eq!(receiver.recv().await, Some(expected));
    }
    tasks.stopping().cancel();
    tasks.finished().await;
    assert_eq!(receiver.recv().await, None);
}

#[tokio::test]
async fn a_queue_is_bounded_survives_panics_and_is_emptied_at_the_stop() {
    let (tasks, (sender, mut receiver)) = (tasks(), mpsc::unbounded_channel());
    let gate = Arc::new(Semaphore::new(0));
    let entered = Arc::new(Semaphore::new(0));
    let (at_gate, begun) = (Arc::clone(&gate), Arc::clone(&entered));
    let queue = tasks.queue("test", 2, 1, move |number: u32| {
        assert!(number != 2, "on purpose");
        let (gate, begun, sender) = (at_gate.clone(), begun.clone(), sender.clone());
        async move {
            begun.add_permits(1);
            gate.acquire().await.unwrap().forget();
            let _ = sender.send(number);
        }
    });
    queue.push(1).unwrap();
    entered.acquire().await.unwrap().forget();
    // One is being done, two wait.
    queue.push(2).unwrap();
    queue.push(3).unwrap();
    assert_eq!(queue.push(4), Err(QueueFull(4)));
    assert_eq!((queue.waiting(), queue.dropped()), (2, 1));
    tasks.stopping().cancel();
    gate.add_permits(2);
    tasks.finished().await;
    assert_eq!(
        (receiver.recv().await, receiver.recv().await),
        (Some(1), Some(3))
    );
    assert_eq!(queue.send(5).await, Err(QueueFull(5)));
}

#[tokio::test]
async fn several_workers_share_a_queue() {
    let tasks = tasks();
    let meeting = Arc::new(tokio::sync::Barrier::new(3));
    let at = Arc::clone(&meeting);
    let queue = tasks.queue("test", 3, 3, move |()| {
        let meeting = Arc::clone(&at);
        async move {
            meeting.wait().await;
        }
    });
    for _ in 0..3 {
        queue.push(()).unwrap();
    }
    tasks.stopping().cancel();
    tasks.finished().await;
}
