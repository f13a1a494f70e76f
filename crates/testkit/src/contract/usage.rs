//! How often the tools were used.

use crate::Stores;

fn counted(calls: &[(&str, u64)]) -> Vec<(String, u64)> {
    calls.iter().map(|(tool, times)| ((*tool).to_owned(), *times)).collect()
}

/// Whoever counts, all is counted; a reader of what is remembered need not look again for that.
pub async fn calls_add_up_and_are_no_change(stores: Stores) {
    let count = async |calls: &[(&str, u64)]| stores.usage.count_calls("a".into(), counted(calls)).await;
    assert_eq!(
        stores.usage.count_calls("b".into(), counted(&[("query", 7)])).await,
        Ok(counted(&[("query", 7)]))
    );
    assert_eq!(count(&[]).await, Ok(vec![]));
    assert_eq!(count(&[("remember", 2), ("query", 1)]).await, Ok(counted(&[("query", 1), ("remember", 2)])));
    assert_eq!(count(&[("query", 4)]).await, Ok(counted(&[("query", 5), ("remember", 2)])));
    assert_eq!(count(&[]).await, Ok(counted(&[("query", 5), ("remember", 2)])));
    assert_eq!(stores.changes.change_seq().await, Ok(0));
}
