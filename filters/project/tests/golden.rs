//! The golden cases, and the parameters' schema.

weir_sdk::golden_tests!(weir_project::Project);
