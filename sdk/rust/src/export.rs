//! `export!`: names a filter and, in a guest, makes it the component's one export.

/// Names a filter and exports it from its crate: once per crate, which is a `cdylib`.
///
/// `kind` is `select`, `transform`, `redact` or `aggregate`; the version is the crate's. The attribute
/// [`#[filter]`](macro@crate::filter) writes this line for you.
///
/// ```
/// use weir_sdk::prelude::*;
///
/// struct Shout;
///
/// impl Transform for Shout {
///     type Params = ();
///     fn open((): ()) -> Result<Shout, ParamError> {
///         Ok(Shout)
///     }
///     fn line(&mut self, line: Line<'_>, out: &mut Out<'_>) {
///         out.replace(line.message().to_ascii_uppercase());
///     }
/// }
///
/// weir_sdk::export!(Shout, kind = transform, name = "shout", summary = "Upper-cases every line");
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    ($filter:ty, kind = $kind:ident, name = $name:expr, summary = $summary:expr $(,)?) => {
        impl $crate::Filter for $filter {
            type Kind = $crate::__kind!($kind);
            const NAME: &'static str = $name;
            const VERSION: &'static str = ::core::env!("CARGO_PKG_VERSION");
            const SUMMARY: &'static str = $summary;
        }

        $crate::__export_component!($filter);
    };
}

/// The type behind a kind's name in [`export!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __kind {
    (select) => {
        $crate::SelectKind
    };
    (transform) => {
        $crate::TransformKind
    };
    (redact) => {
        $crate::RedactKind
    };
    (aggregate) => {
        $crate::AggregateKind
    };
}

/// Natively a filter is only called by tests: nothing is exported.
#[cfg(not(target_arch = "wasm32"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_component {
    ($filter:ty) => {};
}

/// In a guest: the component's exports, forwarded to the filter's driver.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_component {
    ($filter:ty) => {
        const _: () = {
            ::std::thread_local! {
                // A component instance is one thread's: this is its one open filter.
                static OPEN: $crate::glue::Slot<$filter> = const { $crate::glue::Slot::new() };
            }

            struct Component;

            impl $crate::glue::Guest for Component {
                fn describe() -> $crate::glue::Description {
                    $crate::glue::describe::<$filter>()
                }

                fn open(
                    params: ::std::string::String,
                ) -> ::core::result::Result<$crate::glue::Plan, $crate::glue::ParamError> {
                    OPEN.with(|slot| slot.open(&params))
                }

                fn begin_source(id: u32, meta: $crate::glue::SourceMeta) -> $crate::glue::SourceVerdict {
                    OPEN.with(|slot| slot.begin_source(id, meta))
                }

                fn process(
                    source: u32,
                    block: ::std::vec::Vec<u8>,
                    starts: ::std::vec::Vec<u32>,
                    ends: ::std::vec::Vec<u32>,
                    timestamps: ::std::vec::Vec<i64>,
                    attrs: ::std::vec::Vec<u8>,
                ) -> ::core::result::Result<$crate::glue::Verdicts, $crate::glue::ProcessError> {
                    let batch = $crate::Batch {
                        block: &block,
                        starts: &starts,
                        ends: &ends,
                        timestamps: &timestamps,
                        attrs: &attrs,
                    };
                    OPEN.with(|slot| slot.process(source, batch))
                }

                fn finish() -> ::std::vec::Vec<::std::string::String> {
                    OPEN.with(|slot| slot.finish())
                }

                fn diagnostics() -> ::std::vec::Vec<::std::string::String> {
                    OPEN.with(|slot| slot.diagnostics())
                }
            }

    $crate::glue::__export_log_filter!(Component with_types_in $crate::glue);
        };
    };
}
