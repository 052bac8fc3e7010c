//! The macros of `weir-sdk`, which re-exports and documents them: `#[filter]` and `#[derive(Params)]`.
//! What they expand to lives in `weir-sdk`; here is only syntax.

mod docs;
mod filter;
mod params;

use proc_macro::TokenStream;

/// Makes a filter of a function or of an implementation of `Select`, `Transform` or `Aggregate`.
///
/// - `name = "…"`: required; lower-case letters, digits and dashes.
/// - `kind = redact`: only to make a transform one whose failure withholds the line; else the kind follows from
///   the trait, or from the function: `-> bool` selects, no result transforms.
/// - `summary = "…"`: else the first line of the doc comment.
/// - `columns = …`: for a function, the columns it reads; else the message.
///
/// The function takes the line, and before it, if it has parameters, a reference to them:
///
/// ```
/// use weir_sdk::prelude::*;
///
/// #[derive(Params)]
/// struct Args {
///     /// The word to look for.
///     word: String,
/// }
///
/// /// Keeps lines with a word
/// #[filter(name = "with-word")]
/// fn with_word(args: &Args, line: Line<'_>) -> bool {
///     line.message_contains(&args.word)
/// }
///
/// /// Upper-cases lines
/// #[filter(name = "shout")]
/// fn shout(line: Line<'_>, out: &mut Out<'_>) {
///     out.replace(line.message().to_ascii_uppercase());
/// }
/// # fn main() {}
/// ```
///
/// The filter's type, which tests name, is called as the function, in camel case: `WithWord`, `Shout`.
#[proc_macro_attribute]
pub fn filter(args: TokenStream, item: TokenStream) -> TokenStream {
    filter::expand(args.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Derives parsing, defaults, bounds and the JSON Schema of a struct of parameters, or of an enum of names.
/// See the module `weir_sdk::params`.
#[proc_macro_derive(Params, attributes(param))]
pub fn params(item: TokenStream) -> TokenStream {
    params::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
