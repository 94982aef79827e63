//! Events in, row out.

use domain::retention_plan::{Reset, Set};

use super::*;
use crate::testing::{fold, recorded};

const ID: InstanceId = InstanceId(Uuid::from_u128(7));

#[test]
fn the_last_word_on_a_plan_counts() {
    let days = Days { access_log: 30, container_log: 7 };
    let plan = |event| domain::Event::RetentionPlan { id: ID, event };
    let set = plan(Event::Set(Set { days }));
    let row = fold::<RetentionPlans>(&recorded([set.clone()])).unwrap();
    assert_eq!((row.days, row.revision), (Some(days), 1));
    let row = fold::<RetentionPlans>(&recorded([set, plan(Event::Reset(Reset {}))])).unwrap();
    assert_eq!((row.days, row.revision), (None, 2));
}
