use domain::{Sealed, TablePrefix};
use zstorage::{DataKeys, SealError};

use crate::house::queue_id;
use crate::seal::kms;
use crate::students::{sealer, students};

#[tokio::test(flavor = "multi_thread")]
async fn a_data_key_opens_for_its_table_alone_and_is_never_shown() {
    for sealer in [sealer(), kms().await] {
        let prefix = TablePrefix::nth(7).unwrap();
        let (sealed, clear) = sealer.new_data_key(prefix).await.unwrap();
        assert_eq!(format!("{clear:?} {:?}", clear.table_keys()), "DataKey(..) TableKeys(..)");
        sealer.open_data_key(prefix, &sealed).await.unwrap();
        let other = sealer.open_data_key(TablePrefix::nth(8).unwrap(), &sealed).await;
        assert!(matches!(other.err(), Some(SealError::Closed)));
        assert!(matches!(sealer.open(queue_id(), &sealed).await.err(), Some(SealError::Closed)));
        let garbage = sealer.open_data_key(prefix, &Sealed(b"garbage".to_vec())).await;
        assert!(matches!(garbage.err(), Some(SealError::Closed)));
    }
}

#[tokio::test]
async fn a_tables_keys_are_unwrapped_once() {
    let sealer = sealer();
    let prefix = TablePrefix::nth(7).unwrap();
    let (sealed, _) = sealer.new_data_key(prefix).await.unwrap();
    let table = students(prefix, sealed);
    let keys = DataKeys::new(sealer);
    let first = keys.of(&table).await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &keys.clone().of(&table).await.unwrap()));
}
